"""Tests for L{registryproxy.door.connect} and L{registryproxy.door.factory}."""

from typing import Any

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from registryproxy.door.connect import ESTABLISHED, LINGER_SECONDS, ConnectProtocol
from registryproxy.door.factory import ConnectFactory
from registryproxy.door.tunnel import TunnelEnd, TunnelPatience
from registryproxy.door.ways import ConnectReport, Ways
from registryproxy.errors import CAUnusable, Forbidden, UpstreamSilent, UpstreamUnavailable
from registryproxy.wire.authority import Authority
from tests.door.wires import Wire, tls_wire, wire

HELLO = b"\x16\x03\x01\x02\x00\r\n\r\n"


def connect_to(host: str) -> bytes:
    """Write the head of a CONNECT."""
    return f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


GHCR, GITHUB = connect_to("ghcr.io:443"), connect_to("github.com:443")
HERE = IPv4Address("TCP", "192.0.2.1", 443)
TO_GITHUB = Authority("github.com", 443)


@define(eq=False)
class Inner(Protocol):
    """
    What a connection has become; remembers what it is told.

    @ivar told: data, and the names of events.
    @ivar fault: what goes wrong when it is connected.
    """

    made_for: Authority | IAddress
    transport: Any = field(default=None, init=False)
    told: list[bytes | str] = field(factory=list, init=False)
    fault: Exception | None = None

    @property
    def received(self) -> bytes:
        """All data so far."""
        return b"".join(each for each in self.told if isinstance(each, bytes))

    def connectionMade(self) -> None:
        """Remember it."""
        self.told.append("made")
        if self.fault is not None:
            raise self.fault

    def dataReceived(self, data: bytes) -> None:
        """Remember it."""
        self.told.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remember why."""
        self.told.append(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class HalfCloseableInner(Inner):
    """One that can tell a half from a whole."""

    def readConnectionLost(self) -> None:
        """Remember it."""
        self.told.append("read")

    def writeConnectionLost(self) -> None:
        """Remember it."""
        self.told.append("write")


class ConnectTestCase(SynchronousTestCase):
    """Has a door, and is the client, the owner, and the rest of the world."""

    def setUp(self) -> None:
        """Open the door, and come in."""
        self.clock = Clock()
        self.inners: list[Inner] = []
        self.inner_kind: type[Inner] = Inner
        self.fault: Exception | None = None
        self.dialled: list[tuple[Authority, Deferred[IProtocol]]] = []
        self.answer: Deferred[IProtocol] | None = None
        self.reports: list[ConnectReport] = []
        ways = Ways(
            clock=self.clock,
            pages=self.become,
            is_listed=lambda authority: authority.host == "ghcr.io",
            intercept=self.become,
            dial=self.dial,
            report=self.reports.append,
            head_timeout=60.0,
            patience=TunnelPatience(),
        )
        self.door = ConnectFactory(ways)
        self.client = self.come_in()

    def come_in(self) -> Wire:
        """Connect another client."""
        return wire(self.door.buildProtocol(None))

    def become(self, made_for: Any) -> Inner:
        """Make what a connection becomes."""
        self.inners.append(self.inner_kind(made_for, self.fault))
        return self.inners[-1]

    def dial(self, authority: Authority, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Begin to reach a host."""
        self.factory = factory
        self.dialled.append((authority, self.answer or Deferred()))
        return self.dialled[-1][1]

    def reach(self) -> Wire:
        """Let the host be reached, and return its connection."""
        end: Any = self.factory.buildProtocol(HERE)
        upstream = wire(end)
        self.dialled[-1][1].callback(end)
        return upstream

    def assertAllGone(self) -> None:
        """Fail if anything was left behind."""
        self.assertEqual(self.door.open_connections, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assertAnswered(self, status: bytes, sentence: str) -> None:
        """Fail unless the client was answered by one sentence, and may read it before the connection is gone."""
        head, _, body = self.client.value().partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        self.assertEqual(line, b"HTTP/1.1 " + status)
        self.assertIn(b"Content-Length: %d" % len(body), fields)
        self.assertIn(b"Content-Type: text/plain; charset=utf-8", fields)
        self.assertIn(b"Connection: close", fields)
        self.assertRegex(body.decode(), sentence)
        self.assertEqual(self.client.done, ["half-close"])


class HeadTests(ConnectTestCase):
    """What is done about the first head."""

    def test_interfaces(self) -> None:
        """Transports are told the truth about what the protocol can do."""
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.client.protocol))

    def test_socket_is_tuned(self) -> None:
        """Small pieces are not held back, and the kernel looks after silent clients."""
        self.assertEqual(self.client.options, {"nodelay": True, "keepalive": True})

    def test_other_request(self) -> None:
        """What is no CONNECT is plain HTTP from its first byte; nothing is answered by us."""
        self.client.receive(b"G")
        self.client.receive(b"ET / HTTP/1.1\r\n")
        [inner] = self.inners
        self.assertEqual(inner.made_for, self.client.getPeer())
        self.assertEqual(inner.told, ["made", b"G", b"ET / HTTP/1.1\r\n"])
        self.assertEqual((self.client.value(), self.clock.getDelayedCalls()), (b"", []))

    def test_silence(self) -> None:
        """Who says nothing is let go without a word: an answer would be taken for that to a later request."""
        self.clock.advance(60)
        self.assertEqual((self.client.value(), self.client.done, self.reports), (b"", ["close"], []))
        self.assertAllGone()

    def test_too_slow(self) -> None:
        """The whole head must come within the time, however busily it drips."""
        for number in range(6):
            self.client.receive(b"CONNEC"[number : number + 1])
            self.clock.advance(10)
        self.assertAnswered(b"408 Request Timeout", "too long to arrive")
        [report] = self.reports
        self.assertEqual((report.result, report.status, report.authority), ("refused", 408, None))
        self.assertEqual((report.seconds, report.client), (60.0, "192.168.1.1"))

    def test_bad_head(self) -> None:
        """A head against the grammar is answered by what is wrong with it."""
        self.client.receive(b"CONNECT ghcr.io HTTP/1.1\r\n")
        self.assertAnswered(b"400 Bad Request", "lacks a port")
        self.assertEqual([each.status for each in self.reports], [400])

    def test_too_large(self) -> None:
        """A head that is too large is answered as such."""
        self.client.receive(b"CONNECT " + b"x" * 70000)
        self.assertAnswered(b"431 Request Header Fields Too Large", "64 KiB a line")

    def test_tls_on_the_plain_port(self) -> None:
        """A client that speaks TLS at once is told, and so is the log, for its settings are wrong."""
        self.client.receive(HELLO)
        self.assertAnswered(b"400 Bad Request", "use an http:// URL")
        self.assertIn("http://", self.reports[0].reason)

    def test_left_before_the_end(self) -> None:
        """A client that leaves in the middle of its head leaves nothing behind."""
        self.client.receive(b"CONNECT gh")
        self.client.peer_finishes()
        self.assertAllGone()
        self.assertEqual(self.reports, [])


class LingerTests(ConnectTestCase):
    """How a refusal ends."""

    def setUp(self) -> None:
        """Be refused."""
        super().setUp()
        self.client.receive(b"\0")
        self.answered = self.client.value()

    def test_read_to_the_end(self) -> None:
        """What the client still sends is dropped, so that its kernel does not throw our answer away."""
        self.client.receive(b"x" * 100000)
        self.assertEqual((self.client.value(), self.client.done), (self.answered, ["half-close"]))
        self.client.peer_finishes()
        self.assertEqual(self.client.done, ["half-close", "close"])
        self.assertAllGone()

    def test_not_for_ever(self) -> None:
        """A client that does not close its side is waited for a few seconds."""
        self.clock.advance(LINGER_SECONDS)
        self.assertEqual(self.client.done, ["half-close", "abort"])
        self.assertAllGone()

    def test_client_breaks(self) -> None:
        """A client that breaks off leaves nothing behind."""
        self.client.peer_breaks()
        self.assertAllGone()

    def test_tls(self) -> None:
        """Where the client came by TLS, closing is all that can be done."""
        self.client = tls_wire(self.door.buildProtocol(None))
        self.client.receive(b"\0")
        self.assertEqual(self.client.done, ["close"])


class InterceptTests(ConnectTestCase):
    """What is done about a CONNECT to a registry of ours."""

    def test_handed_on(self) -> None:
        """It is answered, and what comes behind goes to whoever stands in for the registry."""
        self.client.receive(GHCR)
        self.assertEqual(self.client.value(), ESTABLISHED)
        [inner] = self.inners
        self.assertEqual(inner.made_for, Authority("ghcr.io", 443))
        self.assertIs(inner.transport, self.client)
        self.client.receive(HELLO)
        self.assertEqual(inner.told, ["made", HELLO])

    def test_hello_behind_the_head(self) -> None:
        """A ClientHello that did not wait for our answer is handed on as it came."""
        self.client.receive(GHCR + HELLO)
        self.assertEqual(self.inners[0].told, ["made", HELLO])

    @given(st.lists(st.integers(0, 80)))
    def test_any_cut(self, cuts: list[int]) -> None:
        """However the network cuts it, the same arrives."""
        self.client = self.come_in()
        sent, begin = GHCR + HELLO, 0
        for end in [*sorted(cuts), len(sent)]:
            self.client.receive(sent[begin:end])
            begin = max(begin, end)
        self.assertEqual((self.client.value(), self.inners[-1].received), (ESTABLISHED, HELLO))

    def test_no_timer(self) -> None:
        """From then on the patience of whoever took over counts, not ours; nor is anything reported."""
        self.client.receive(GHCR)
        self.clock.advance(1000)
        self.assertEqual((self.client.done, self.reports, self.clock.getDelayedCalls()), ([], [], []))

    def test_connection_lost(self) -> None:
        """The end of the connection, and its reason, are passed on."""
        self.client.receive(GHCR)
        self.client.peer_breaks()
        self.assertEqual(self.inners[0].told, ["made", "ConnectionLost"])
        self.assertAllGone()

    def test_half_close_is_the_end_for_most(self) -> None:
        """Who cannot tell half from whole gets to know the end of the connection, and what is written is flushed."""
        self.client.receive(GHCR)
        self.client.peer_finishes()
        self.assertEqual(self.client.done, ["close"])
        self.assertEqual(self.inners[0].told, ["made", "ConnectionDone"])
        self.assertAllGone()

    def test_flushing_has_a_limit(self) -> None:
        """A client that has finished, and takes nothing of what is written, is broken off after a while."""
        self.client.receive(GHCR)
        self.client.is_stuck = True
        self.client.peer_finishes()
        self.assertEqual(self.door.open_connections, 1)
        self.clock.advance(LINGER_SECONDS)
        self.assertEqual(self.inners[0].told, ["made", "ConnectionAborted"])
        self.assertAllGone()

    def test_half_close_is_passed_on(self) -> None:
        """Who can tell half from whole is told of either half."""
        self.inner_kind = HalfCloseableInner
        self.client.receive(GHCR)
        self.client.peer_finishes()
        self.client.loseWriteConnection()
        self.assertEqual(self.inners[0].told, ["made", "read", "write"])
        self.assertEqual(self.client.done, ["half-close"])

    def test_half_closing_by_others(self) -> None:
        """One that half-closes, though it does not want to hear of it, may."""
        self.client.receive(GHCR)
        self.client.loseWriteConnection()
        self.assertEqual(self.inners[0].told, ["made"])

    def test_authority_ended(self) -> None:
        """When nobody can stand in for the registry, the client is told why instead of being led into TLS."""

        def ended(_authority: Authority) -> IProtocol:
            raise CAUnusable("the certificate authority ended")

        self.door = ConnectFactory(self.evolved(intercept=ended))
        self.client = self.come_in()
        self.client.receive(GHCR)
        self.assertAnswered(b"500 Internal Server Error", "authority ended")
        self.assertEqual([(each.result, each.status) for each in self.reports], [("failed", 500)])

    def evolved(self, **changes: Any) -> Ways:
        """Return other ways."""
        return evolve(self.door._ways, **changes)

    def test_bug_while_making(self) -> None:
        """A bug where the connection is handed on is logged, and ends the connection."""

        def broken(_authority: Authority) -> IProtocol:
            raise ZeroDivisionError

        self.door = ConnectFactory(self.evolved(intercept=broken))
        self.client = self.come_in()
        self.client.receive(GHCR)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.client.value(), self.client.done), (b"", ["abort"]))

    def test_bug_while_connecting(self) -> None:
        """So is one in what took over, which is told the end like everybody else."""
        self.fault = ZeroDivisionError()
        self.client.receive(GHCR + HELLO)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.inners[0].told, ["made", "ConnectionAborted"])

    def test_no_pages(self) -> None:
        """A factory of pages may turn a client away."""
        self.door = ConnectFactory(self.evolved(pages=lambda _address: None))
        self.client = self.come_in()
        self.client.receive(b"G")
        self.assertEqual(self.client.done, ["abort"])


class TunnelTests(ConnectTestCase):
    """What is done about a CONNECT to anybody else."""

    def test_tunnel(self) -> None:
        """The host is reached, then the client is told so, then bytes go to and fro."""
        self.client.receive(GITHUB)
        self.assertEqual(self.dialled[0][0], TO_GITHUB)
        self.assertEqual(self.client.value(), b"")
        upstream = self.reach()
        self.assertEqual(self.client.value(), ESTABLISHED)
        self.client.receive(HELLO)
        upstream.receive(b"answer")
        self.assertEqual((upstream.value(), self.client.value()), (HELLO, ESTABLISHED + b"answer"))

    def test_waits_for_the_host(self) -> None:
        """Until the host is reached, nothing is read; what was read already is not lost, nor out of order."""
        self.client.receive(GITHUB + HELLO)
        self.assertTrue(self.client.is_paused)
        self.client.receive(b"more")  # transports may have read it before they were paused
        upstream = self.reach()
        self.assertFalse(self.client.is_paused)
        self.client.receive(b"and more")
        self.assertEqual(upstream.value(), HELLO + b"moreand more")

    def test_report(self) -> None:
        """A tunnel is reported when both of its connections are gone, with what went through it."""
        self.client.receive(GITHUB)
        upstream = self.reach()
        self.clock.advance(3)
        self.client.receive(b"12345")
        upstream.receive(b"123")
        upstream.is_stuck = True
        self.client.lose(ConnectionDone())
        self.assertEqual((self.reports, self.door.open_connections), ([], 1))
        upstream.lose(ConnectionDone())
        self.assertEqual(
            self.reports,
            [
                ConnectReport(
                    client="192.168.1.1",
                    authority=TO_GITHUB,
                    result="tunnelled",
                    status=200,
                    bytes_up=5,
                    bytes_down=3,
                    seconds=3.0,
                )
            ],
        )
        self.assertAllGone()

    def test_half_close(self) -> None:
        """Halves are passed on in either direction, and both together are the end."""
        self.client.receive(GITHUB)
        upstream = self.reach()
        self.client.peer_finishes()
        self.assertEqual((upstream.done, self.client.done), (["half-close"], []))
        upstream.peer_finishes()
        self.assertAllGone()

    def test_breaks(self) -> None:
        """A break is passed on, and reported as the end of a tunnel."""
        self.client.receive(GITHUB)
        upstream = self.reach()
        self.client.peer_breaks()
        self.assertEqual(upstream.done, ["abort"])
        self.assertEqual([each.result for each in self.reports], ["tunnelled"])
        self.assertAllGone()

    def test_refused(self) -> None:
        """What the rules forbid is 403; what the network does not give is 502 or 504; each with its sentence."""
        for error, status, result in (
            (Forbidden("TUNNEL_PORTS allows 443"), b"403 Forbidden", "refused"),
            (UpstreamUnavailable("cannot be found"), b"502 Bad Gateway", "failed"),
            (UpstreamSilent("did not answer"), b"504 Gateway Timeout", "failed"),
        ):
            self.client, self.reports[:] = self.come_in(), []
            self.answer = fail(error)
            self.client.receive(GITHUB)
            self.assertAnswered(status, str(error))
            self.assertFalse(self.client.is_paused)
            [report] = self.reports
            self.assertEqual(
                (report.result, report.authority, report.reason), (result, TO_GITHUB, str(error))
            )

    def test_refused_with_a_hello(self) -> None:
        """What an eager client sent for the tunnel that is refused is dropped."""
        self.answer = fail(Forbidden("no"))
        self.client.receive(GITHUB + HELLO)
        self.client.receive(HELLO)
        self.assertAnswered(b"403 Forbidden", "no")

    def test_client_leaves_early(self) -> None:
        """When the client has left, the host is not reached for any more."""
        given_up: list[object] = []
        self.answer = Deferred(given_up.append)
        self.client.receive(GITHUB)
        self.client.peer_breaks()
        self.assertEqual(given_up, [self.answer])
        self.assertEqual([(each.result, each.status) for each in self.reports], [("failed", 499)])
        self.assertAllGone()

    def test_bug_while_dialling(self) -> None:
        """A bug on the way to the host is logged, and ends the connection."""
        self.answer = fail(ZeroDivisionError())
        self.client.receive(GITHUB)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.client.done, ["abort"])
        self.assertAllGone()

    def test_what_the_host_becomes(self) -> None:
        """The factory that hosts are dialled with makes ends of tunnels."""
        self.client.receive(GITHUB)
        self.assertIsInstance(self.factory.buildProtocol(HERE), TunnelEnd)


class CloseAllTests(ConnectTestCase):
    """Tests for L{ConnectFactory.close_all}."""

    def test_nobody(self) -> None:
        """Where nobody is, it is done at once."""
        self.client.peer_breaks()
        self.successResultOf(self.door.close_all())
        self.assertAllGone()

    def test_idle(self) -> None:
        """Who has said nothing is let go at once, whatever the grace."""
        self.successResultOf(self.door.close_all(30.0))
        self.assertEqual(self.client.done, ["close"])
        self.assertAllGone()

    def test_grace(self) -> None:
        """Who is being served has some time to be done."""
        self.client.receive(GHCR)
        closing = self.door.close_all(30.0)
        self.clock.advance(29)
        self.assertNoResult(closing)
        self.client.lose(ConnectionDone())
        self.successResultOf(closing)
        self.assertAllGone()

    def test_end_of_grace(self) -> None:
        """Then all is broken off, whatever it is: a handshake, a tunnel, a host not yet reached, a refusal."""
        self.client.receive(GHCR)
        tunnelled, dialling, refused = (self.come_in() for _ in range(3))
        tunnelled.receive(GITHUB)
        upstream = self.reach()
        dialling.receive(GITHUB)
        refused.receive(b"\0")
        closing = self.door.close_all(30.0)
        self.assertEqual(self.door.open_connections, 4)
        self.clock.advance(5)
        self.assertEqual(self.door.open_connections, 3)
        self.clock.advance(25)
        self.successResultOf(closing)
        self.assertEqual(
            [each.done for each in (self.client, tunnelled, upstream, dialling)], [["abort"]] * 4
        )
        self.assertAllGone()

    def test_far_end_that_is_left(self) -> None:
        """A host that still has bytes to take, though its client has left, is broken off, too."""
        self.client.receive(GITHUB)
        upstream = self.reach()
        upstream.is_stuck = True
        self.client.lose(ConnectionDone())
        closing = self.door.close_all()
        self.clock.advance(0)
        self.successResultOf(closing)
        self.assertEqual(upstream.done, ["close", "abort"])
        self.assertAllGone()

    def test_counted(self) -> None:
        """Open connections are counted, for the metrics."""
        self.come_in()
        self.assertEqual(self.door.open_connections, 2)
        self.client.peer_breaks()
        self.assertEqual(self.door.open_connections, 1)


class MadeTests(SynchronousTestCase):
    """What a door makes."""

    def test_not_counted_before_it_is_connected(self) -> None:
        """A protocol that is made, but never connected, does not keep the door from closing."""
        ways: Any = None
        door = ConnectFactory(ways)
        self.assertIsInstance(door.buildProtocol(None), ConnectProtocol)
        self.assertEqual(door.open_connections, 0)
