"""Tests for L{registryproxy.upstream} on sockets, with TLS: whom it believes, and what it survives."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import HTTPConnectionPool, ResponseDone

from registryproxy.errors import UpstreamError, UpstreamSilent, UpstreamUnavailable
from registryproxy.interfaces import IUpstreamAnswer
from registryproxy.oci.digest import Digest
from registryproxy.upstream.agent import make_agent
from registryproxy.upstream.client import Upstream
from registryproxy.upstream.pool import MAX_HEAD, MAX_LINE
from registryproxy.upstream.trust import UpstreamTrust
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields
from tests.support.names import ReactorWithNames
from tests.support.outside import Collector, collected
from tests.support.scripted import Peer, ScriptedServer, whole
from tests.support.server_certificates import Signer

NAME = "registry.test"
LOOPBACK = "127.0.0.1"
NAMES = {**dict.fromkeys((NAME, "registry.sub.test", "my_registry.test", LOOPBACK), LOOPBACK), "::1": "::1"}
OK = b"HTTP/1.1 200 OK"

Answering = Callable[[Peer, bytes], None]


class UpstreamSocketTestCase(TestCase):
    """What the tests below share: they need the real reactor, for they are about its sockets and OpenSSL."""

    timeout = 30

    def setUp(self) -> None:
        """Make an authority, and trust it."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.signer = Signer.create()
        self.trusted: Path | None = self.signer.write_to(Path(self.mktemp()))
        self.insecure: set[Authority] = set()

    def serve(
        self,
        answer: Answering,
        certificate: CertificateOptions | None = None,
        interface: str = LOOPBACK,
        factory: Factory | None = None,
    ) -> ScriptedServer:
        """Let a registry listen, until the test has ended, and open a way to it."""
        self.server = ScriptedServer(answer)
        port = self.reactor.listenSSL(
            0, factory or self.server, certificate or self.signer.server(NAME), interface=interface
        )
        self.port: int = port.getHost().port
        self.addCleanup(self.until, lambda: not self.server.peers)
        self.addCleanup(lambda: [peer.transport.abortConnection() for peer in self.server.peers])
        self.addCleanup(port.stopListening)
        self.open()
        return self.server

    def open(self, silence: float = 10.0) -> None:
        """Open a way out."""
        reactor = ReactorWithNames.of(self.reactor, NAMES)
        trust = UpstreamTrust.of(self.trusted, self.insecure.__contains__)
        agent: Any = make_agent(reactor, trust, 5.0)
        self.pool: HTTPConnectionPool = agent._agent._pool
        self.addCleanup(self.pool.closeCachedConnections)
        self.upstream = Upstream.over(agent, reactor, silence)

    def idle(self) -> int:
        """Count the connections that wait for another question."""
        return len(self.pool._timeouts)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what must come soon; the test's own timeout says when it has not."""
        while not condition():
            await deferLater(self.reactor, 0.005)

    async def ask(self, host: str = NAME, method: str = "GET") -> IUpstreamAnswer:
        """Ask the registry."""
        return await self.upstream.ask(method, Authority(host, self.port), "/v2/", Fields())

    async def read(self, host: str = NAME) -> bytes:
        """Ask the registry, and read what it says."""
        reader = collected(await self.ask(host))
        await reader.ended
        assert reader.end is not None
        self.assertIs(reader.end.type, ResponseDone)
        return reader.body

    async def refused(self, kind: type[UpstreamError] = UpstreamUnavailable, host: str = NAME) -> str:
        """Ask the registry in vain, and return the sentence without its name, which it must have."""
        with self.assertRaises(kind) as caught:
            await self.ask(host)
        name, _, sentence = str(caught.exception).partition(" ")
        self.assertEqual(name, Authority(host, self.port).netloc)
        return sentence


class TrustTests(UpstreamSocketTestCase):
    """Whom it believes."""

    async def test_trusted(self) -> None:
        """A registry whose certificate an authority of UPSTREAM_CA_FILE has signed is believed."""
        self.serve(whole(b"hello"))
        self.assertEqual(await self.read(), b"hello")

    async def test_unknown_authority(self) -> None:
        """One that nobody has signed whom we know is not, and the sentence says what can be done."""
        self.trusted = None
        self.serve(whole(b"hello"))
        sentence = await self.refused()
        self.assertTrue(sentence.startswith("is not trusted: "), sentence)
        self.assertIn("UPSTREAM_CA_FILE", sentence)
        self.assertEqual(self.server.heads, [])

    async def test_another_time(self) -> None:
        """One whose certificate has ended, or has not yet begun, is not."""
        for age, sentence in ((3, "its certificate has expired"), (-1, "its certificate is not valid yet")):
            self.serve(whole(b"hello"), self.signer.server(NAME, age=timedelta(days=age)))
            self.assertEqual(await self.refused(), f"is not trusted: {sentence}")

    async def test_another_name(self) -> None:
        """One whose certificate is for others is not, however alike they are; nor does a name prove an address."""
        for host, names in (
            (NAME, ["other.test"]),
            (NAME, [f"sub.{NAME}", "*.registry.test", "test", "*.test.test"]),
            (NAME, [LOOPBACK]),
            (LOOPBACK, [NAME, "127.0.0.2"]),
        ):
            self.serve(whole(b"hello"), self.signer.server(*names))
            self.assertEqual(
                await self.refused(host=host), "is not trusted: its certificate is for another name"
            )
            self.assertEqual(self.server.heads, [])

    async def test_no_name(self) -> None:
        """One whose certificate names no host at all is not, though an authority that we trust has signed it."""
        for names in ([], ["joe@registry.test"], ["*"], ["*.test"]):
            self.serve(whole(b"hello"), self.signer.server(*names))
            sentence = await self.refused()
            self.assertEqual(sentence, "is not trusted: its certificate has no usable subjectAltName")
            self.assertEqual(self.server.heads, [])

    async def test_names_of_every_sort(self) -> None:
        """Names with wildcards, underscores or capitals are proved, and addresses, whatever else is named beside."""
        for host, name in (
            ("registry.sub.test", "*.sub.test"),
            (NAME, "REGISTRY.Test"),
            ("my_registry.test", "my_registry.test"),
            (LOOPBACK, LOOPBACK),
        ):
            self.serve(whole(b"hello"), self.signer.server("first.test", "*.corp", "joe@corp.test", name))
            self.assertEqual(await self.read(host), b"hello")

    async def test_ipv6(self) -> None:
        """C{[::1]} is a registry like any other."""
        try:
            self.serve(whole(b"hello"), self.signer.server("::1"), interface="::1")
        except Exception as e:
            raise SkipTest("this machine has no IPv6") from e
        self.assertEqual(await self.read("::1"), b"hello")
        self.assertIn(f"Host: [::1]:{self.port}".encode(), self.server.heads[0])

    async def test_insecure(self) -> None:
        """Of a registry that is exempt, nothing is verified; of the same host at another port, all is."""
        self.trusted = None
        self.serve(whole(b"hello"), self.signer.server("other.test", age=timedelta(days=3)))
        exempt = Authority(NAME, self.port)
        self.insecure = {exempt, Authority("my_registry.test", self.port)}
        self.open()
        for registry in sorted(self.insecure):
            self.assertEqual(await self.read(registry.host), b"hello")
        self.serve(whole(b"hello"))
        self.assertIn("is not trusted", await self.refused())

    async def test_what_a_registry_is_told(self) -> None:
        """With verification or without, a registry is told its name, but no address, and is spoken to in HTTP/1.1."""
        told: list[tuple[bytes | None, bytes | None]] = []

        def answer(peer: Peer, head: bytes) -> None:
            told.append((peer.transport.getHandle().get_servername(), peer.transport.negotiatedProtocol))
            whole(b"hello")(peer, head)

        self.serve(answer, self.signer.server(NAME, LOOPBACK))
        for _ in range(2):
            await self.read()
            await self.read(LOOPBACK)
            self.insecure = {Authority(NAME, self.port), Authority(LOOPBACK, self.port)}
            self.open()
        self.assertEqual(told, [(b"registry.test", b"http/1.1"), (None, b"http/1.1")] * 2)

    async def test_no_tls(self) -> None:
        """A registry that speaks plain HTTP is told from one that is not trusted."""

        class Plain(Protocol):
            def dataReceived(self, data: bytes) -> None:  # noqa: ARG002
                transport: Any = self.transport
                transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        port = self.reactor.listenTCP(0, Factory.forProtocol(Plain), interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.open()
        self.assertIn("cannot be spoken to in TLS: ", await self.refused())


class HeadTests(UpstreamSocketTestCase):
    """How much of a head it takes: more than enough, and no more."""

    async def test_long_line(self) -> None:
        """A line of 64 KiB is taken."""
        line = b"x: " + b"x" * (MAX_LINE - 3)
        self.serve(whole(b"hello", line))
        answer = await self.ask()
        self.assertEqual(len(answer.fields.get("x") or ""), MAX_LINE - 3)
        await collected(answer).ended

    async def test_longer_line(self) -> None:
        """A longer one is refused at once, though the registry neither ends it nor hangs up."""
        self.serve(lambda peer, _: peer.transport.write(OK + b"\r\nx: " + b"x" * (MAX_LINE + 1)))
        self.assertEqual(await self.refused(), "sent a header line of more than 64 KiB")
        await self.until(lambda: not self.server.peers)

    async def test_large_head(self) -> None:
        """A head of 128 KiB is taken."""
        lines = [OK, b"Content-Length: 5", *[b"x: " + b"x" * 997] * 130]
        lines.append(b"y: " + b"y" * (MAX_HEAD - sum(map(len, lines)) - 3))
        self.serve(lambda peer, _: peer.say(*lines, body=b"hello"))
        self.assertEqual(await self.read(), b"hello")

    async def test_larger_head(self) -> None:
        """A larger one is refused at once, though the registry goes on and on."""
        self.serve(
            lambda peer, _: peer.transport.write(OK + b"\r\n" + (b"x: " + b"x" * 997 + b"\r\n") * 1000)
        )
        self.assertEqual(await self.refused(), "sent a head of more than 128 KiB")
        await self.until(lambda: not self.server.peers)

    async def test_no_http(self) -> None:
        """What is no HTTP is a registry that broke off, whatever it is."""
        for lines in (
            [b"SSH-2.0"],
            [OK, b"no colon"],
            [OK, b"Content-Length: x"],
            [OK, b"Transfer-Encoding: x"],
        ):
            self.serve(lambda peer, _, lines=lines: peer.say(*lines, b""))  # type: ignore[misc]
            self.assertIn("broke off before it answered", await self.refused())


class ConnectionTests(UpstreamSocketTestCase):
    """Connections: kept, lost and cut."""

    async def test_kept(self) -> None:
        """One connection serves one question after the other."""
        self.serve(whole(b"hello"))
        for _ in range(3):
            self.assertEqual(await self.read(), b"hello")
        self.assertEqual(self.server.accepted, 1)

    async def test_idle_one_is_closed(self) -> None:
        """A registry that closes idle connections is connected to anew."""
        self.serve(whole(b"hello"))
        await self.read()
        self.server.peers[0].transport.loseConnection()
        await self.until(lambda: not self.server.peers)
        self.assertEqual(await self.read(), b"hello")
        self.assertEqual(self.server.accepted, 2)

    async def test_closed_while_we_ask(self) -> None:
        """So is one that closes an idle connection just when the next question is on its way, which nobody notices."""

        def answer(peer: Peer, head: bytes) -> None:
            if len(self.server.heads) == 2:
                peer.transport.abortConnection()
            else:
                whole(b"hello")(peer, head)

        self.serve(answer)
        await self.read()
        self.assertEqual(await self.read(), b"hello")
        self.assertEqual((self.server.accepted, len(self.server.heads)), (2, 3))

    async def test_what_writes_is_not_asked_twice(self) -> None:
        """A question that would change something is not repeated, for nobody knows how far it came."""

        def answer(peer: Peer, head: bytes) -> None:
            if head.startswith(b"POST"):
                peer.transport.abortConnection()
            else:
                whole(b"hello")(peer, head)

        self.serve(answer)
        await self.read()
        with self.assertRaises(UpstreamUnavailable):
            await self.ask(method="POST")
        self.assertEqual(len(self.server.heads), 2)

    async def test_refused(self) -> None:
        """A port where nobody listens refuses the connection."""
        self.serve(whole(b"hello"))
        port = self.reactor.listenTCP(0, Factory(), interface=LOOPBACK)
        self.port = port.getHost().port
        await port.stopListening()
        self.assertEqual(await self.refused(), "refused the connection")

    async def test_cut(self) -> None:
        """A body that is cut, be it by a polite end of TLS, is known to be, and what came is there."""
        for lines, body in (
            ([b"Content-Length: 10"], b"hello"),
            ([b"Transfer-Encoding: chunked"], b"5\r\nhello\r\n"),
        ):
            for cut in ("loseConnection", "abortConnection"):

                def answer(
                    peer: Peer, _: bytes, lines: list[bytes] = lines, body: bytes = body, cut: str = cut
                ) -> None:
                    peer.say(OK, *lines, body=body)
                    self.reactor.callLater(0.02, getattr(peer.transport, cut))

                self.serve(answer)
                reader = collected(await self.ask())
                await reader.ended
                assert reader.end is not None
                self.assertIs(reader.end.type, UpstreamUnavailable)
                self.assertEqual(reader.body, b"hello")

    async def test_silent_before_it_answers(self) -> None:
        """A registry that takes the question and says nothing is given up, and its connection closed."""
        self.serve(lambda _peer, _head: None)
        self.open(silence=0.1)
        self.assertEqual(await self.refused(UpstreamSilent), "did not answer within 0.1 seconds")
        await self.until(lambda: not self.server.peers)

    async def test_silent_within_its_answer(self) -> None:
        """So is one that stops in the midst of a body, whether somebody reads it or not."""
        self.serve(lambda peer, _: peer.say(OK, b"Content-Length: 10", body=b"hello"))
        self.open(silence=0.1)
        reader = collected(await self.ask())
        await reader.ended
        assert reader.end is not None
        self.assertIs(reader.end.type, UpstreamSilent)
        (await self.ask()).abandon()
        await self.until(lambda: not self.server.peers)

    async def test_abandoned(self) -> None:
        """A small answer that nobody wants leaves its connection for the next question, a large one does not."""
        self.serve(whole(b"hello"))
        (await self.ask()).abandon()
        await self.until(lambda: self.idle() == 1)
        await self.read()
        self.assertEqual(self.server.accepted, 1)
        self.server.answer = whole(bytes(2**20))
        (await self.ask()).abandon()
        await self.until(lambda: not self.server.peers)

    async def test_redirects_leave_nothing_open(self) -> None:
        """However much a registry says along with a redirect, nobody reads it, and no connection waits for it."""

        def answer(peer: Peer, head: bytes) -> None:
            if head.startswith(b"GET /v2/ "):
                peer.say(b"HTTP/1.1 307 Away", b"Location: /b", b"Content-Length: 1048576", body=bytes(2**20))
            else:
                whole(b"hello")(peer, head)

        self.serve(answer)
        self.assertEqual(await self.read(), b"hello")
        await self.until(lambda: len(self.server.peers) == self.idle() == 1)

    async def test_paused(self) -> None:
        """A reader that pauses, be it before the first byte, gets no more than what was on its way; then all."""
        content = bytes(8 * 2**20)

        class Pausing(Collector):
            def connectionMade(self) -> None:
                self.producer.pauseProducing()

        self.serve(whole(content))
        reader = Pausing()
        (await self.ask()).deliver(reader)
        came = -1
        while came != len(reader.body):
            came = len(reader.body)
            await deferLater(self.reactor, 0.03)
        self.assertLess(came, 2**18)
        producer: IPushProducer = reader.producer
        producer.resumeProducing()
        await reader.ended
        self.assertEqual(len(reader.body), len(content))

    async def test_encoded(self) -> None:
        """Content that a registry encodes though nobody asked for it fits its digest."""
        content = b"manifest" * 10_000
        self.serve(whole(gzip.compress(content), b"Content-Encoding: gzip"))
        self.assertEqual(Digest.of(await self.read()), Digest.of(content))
