"""
Tests of the whole proxy: a process of its own, a registry over TLS, and a client that says CONNECT.

Real sockets and processes, for what is tested is that all rooms are introduced to each other.
"""

import json
import signal
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from registryproxy.lifetime import STOP_GRACE
from registryproxy.oci.accept import OCI_MANIFEST
from tests.support.lab_ca import LabCA
from tests.support.registry import FakeRegistry
from tests.support.twistd import TWIST, TWISTD, Running, start

reactor: Any = the_reactor
MANIFEST = b'{"schemaVersion": 2}'
STATUS = "x-docker-registry-proxy-cache-upstream-status"


@define
class Answer:
    """What a client got."""

    status: int
    fields: dict[str, str]
    body: bytes


class WholeTestCase(TestCase):
    """A proxy, and a registry behind it, as C{localhost} on a port of its own."""

    timeout = 60

    def setUp(self) -> None:
        """Start the registry."""
        self.root = Path(self.mktemp())
        self.root.mkdir()
        self.lab = LabCA.create()
        (self.root / "lab.pem").write_bytes(self.lab.pem())
        self.registry = FakeRegistry()
        certificate, key = self.lab.leaf("localhost", "127.0.0.1")
        options = CertificateOptions(privateKey=key, certificate=certificate)  # type: ignore[arg-type]
        port: Any = reactor.listenSSL(0, Site(self.registry), options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.upstream = port
        self.name = f"localhost:{port.getHost().port}"

    def environment(self, **settings: str) -> dict[str, str]:
        """Write the settings of a proxy that lives in a scratch folder."""
        return {
            "LISTEN": "tcp:0:interface=127.0.0.1",
            "CACHE_DIR": str(self.root / "cache"),
            "CA_DIR": str(self.root / "ca"),
            "REGISTRIES": self.name,
            "UPSTREAM_CA_FILE": str(self.root / "lab.pem"),
            "LOG_FORMAT": "json",
            **settings,
        }

    async def start(self, **settings: str) -> Running:
        """Start the proxy on a port that is free, and wait until it listens."""
        return await self.start_by(TWISTD, **settings)

    async def start_by(self, runner: tuple[str, ...], **settings: str) -> Running:
        """Start the proxy in one of the ways there are."""
        self.port = _free_port()
        settings = {"LISTEN": f"tcp:{self.port}:interface=127.0.0.1", **settings}
        arguments = ["--nodaemon", "--pidfile="] if runner == TWISTD else []
        running = start(reactor, [*arguments, "registryproxy"], self.environment(**settings), runner)
        self.addCleanup(self.stop, running)
        await running.when_said("listens on")
        (self.root / "ca.crt").write_bytes((await self.page("/ca.crt")).body)
        return running

    async def stop(self, running: Running) -> int:
        """Stop it as a service manager does."""
        if running.transport.pid is not None:
            running.transport.signalProcess("TERM")
        return await running.ended if not running.ended.called else 0

    async def page(self, path: str, method: str = "GET") -> Answer:
        """Ask for a plain page."""
        return await deferToThread(
            self._ask, HTTPConnection("127.0.0.1", self.port, timeout=20), method, path, {}
        )

    async def ask(self, path: str, method: str = "GET", **fields: str) -> Answer:
        """Ask the registry, through the proxy."""
        trust = ssl.create_default_context(cafile=str(self.root / "ca.crt"))
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=20, context=trust)
        host, _, port = self.name.partition(":")
        connection.set_tunnel(host, int(port))
        return await deferToThread(self._ask, connection, method, path, fields)

    def _ask(self, connection: HTTPConnection, method: str, path: str, fields: dict[str, str]) -> Answer:
        try:
            connection.request(method, path, headers={n.replace("_", "-"): v for n, v in fields.items()})
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, body)
        finally:
            connection.close()


class PullTests(WholeTestCase):
    """Pulls, cold, warm, and with the registry gone."""

    async def test_an_image(self) -> None:
        """A tag, its manifest and its blob: fetched once, verified against our CA, and served with nobody there."""
        digest = self.registry.add_manifest("team/app", "1", MANIFEST)
        blob = self.registry.add_blob(b"x" * 3_000_000)
        running = await self.start()
        for word in ("MISS", "HIT"):
            by_digest = await self.ask(f"/v2/team/app/manifests/{digest}", Accept=OCI_MANIFEST)
            content = await self.ask(f"/v2/team/app/blobs/{blob}")
            self.assertEqual((by_digest.body, by_digest.fields[STATUS]), (MANIFEST, word))
            self.assertEqual((content.body, content.fields[STATUS]), (b"x" * 3_000_000, word))
        self.assertEqual(self.registry.count("GET"), 2)
        tag = await self.ask("/v2/team/app/manifests/1", "HEAD", Accept=OCI_MANIFEST)
        self.assertEqual(tag.fields["docker-content-digest"], str(digest))

        await self.upstream.stopListening()
        self.assertEqual(await self.stop(running), -signal.SIGTERM)  # as twistd ends, having shut down
        self.assertIn("Server Shut Down.", running.said)
        await self.start()
        self.assertEqual((await self.ask("/v2/")).status, 200)
        stale = await self.ask("/v2/team/app/manifests/1", Accept=OCI_MANIFEST)
        self.assertEqual((stale.body, stale.fields[STATUS]), (MANIFEST, "STALE"))
        self.assertEqual((await self.ask(f"/v2/team/app/blobs/{blob}")).fields[STATUS], "HIT")
        self.assertEqual((await self.ask("/v2/team/app/manifests/2")).status, 502)

    async def test_the_log(self) -> None:
        """Each request is one line of JSON, with what the design promises, and nothing secret."""
        blob = self.registry.add_blob(b"content")
        running = await self.start()
        await self.ask(f"/v2/team/app/blobs/{blob}?token=hidden", Authorization="Bearer hush")
        await running.when_said('"kind": "blob"')
        (line,) = [json.loads(line) for line in running.said.splitlines() if '"kind": "blob"' in line]
        self.assertEqual(line["registry"], self.name)
        self.assertEqual(
            (line["repository"], line["reference"], line["digest"]), ("team/app", str(blob), str(blob))
        )
        self.assertEqual((line["result"], line["status"], line["bytes"]), ("miss", 200, 7))
        self.assertEqual((line["client"], line["method"]), ("127.0.0.1", "GET"))
        self.assertNotIn("hush", running.said)
        self.assertNotIn("hidden", running.said)

    async def test_an_untrusted_registry(self) -> None:
        """A registry whose certificate nobody vouches for is not asked, and that is said."""
        await self.start(UPSTREAM_CA_FILE="")
        refused = await self.ask("/v2/team/app/manifests/1")
        self.assertEqual(refused.status, 502)
        self.assertIn(b"not trusted", refused.body)
        self.assertEqual(self.registry.asked, [])

    async def test_an_insecure_registry(self) -> None:
        """It is asked all the same where the operator says so, for this one or for all."""
        self.registry.add_manifest("team/app", "1", MANIFEST)
        for settings in (
            {"INSECURE_REGISTRIES": self.name},
            {"INSECURE_REGISTRIES": "localhost"},
            {"VERIFY_SSL": "false"},
        ):
            running = await self.start(UPSTREAM_CA_FILE="", **settings)
            self.assertEqual((await self.ask("/v2/team/app/manifests/1")).body, MANIFEST)
            await self.stop(running)

    async def test_an_eager_client(self) -> None:
        """A ClientHello that rides behind the head of the CONNECT, in one piece with it, is not lost."""
        blob = self.registry.add_blob(b"content")
        await self.start()
        answer = await deferToThread(self._ask_eagerly, f"/v2/team/app/blobs/{blob}")
        self.assertTrue(answer.endswith(b"\r\n\r\ncontent"), answer)

    def _ask_eagerly(self, path: str) -> bytes:
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        trust = ssl.create_default_context(cafile=str(self.root / "ca.crt"))
        tls = trust.wrap_bio(arrived, leaving, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            self.assertRaises(ssl.SSLWantReadError, tls.do_handshake)
            connection.sendall(f"CONNECT {self.name} HTTP/1.1\r\nHost: h\r\n\r\n".encode() + leaving.read())
            head, _, rest = connection.recv(1 << 16).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            arrived.write(rest)
            _until_done(tls.do_handshake, connection, arrived, leaving)
            self.assertEqual(tls.selected_alpn_protocol(), None)
            tls.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"content"):
                answer += _until_done(lambda: tls.read(1 << 16), connection, arrived, leaving)
            return answer

    async def test_twist(self) -> None:
        """C{twist} runs it as well."""
        blob = self.registry.add_blob(b"content")
        await self.start_by(TWIST)
        self.assertEqual((await self.ask(f"/v2/team/app/blobs/{blob}")).body, b"content")

    async def test_pages(self) -> None:
        """The pages of the plain port are there."""
        await self.start()
        self.assertEqual((await self.page("/")).body, b"registryproxy: the caching proxy is working\n")
        self.assertTrue((await self.page("/ca.crt")).body.startswith(b"-----BEGIN CERTIFICATE-----"))
        self.assertNotIn(b"PRIVATE", (await self.page("/ca.crt")).body)
        for path in ("/livez", "/readyz", "/setup/systemd"):
            self.assertEqual((await self.page(path)).status, 200)

    async def test_not_ready(self) -> None:
        """A cache that cannot be written to makes the proxy not ready."""
        await self.start()
        (self.root / "cache" / "incoming").rmdir()
        self.assertEqual((await self.page("/readyz")).status, 503)


class StartTests(WholeTestCase):
    """Starts that are refused, and stops."""

    async def refused(self, *arguments: str, **settings: str) -> str:
        """Start, and return what was said when that was refused."""
        running = start(
            reactor, ["--nodaemon", "--pidfile=", "registryproxy", *arguments], self.environment(**settings)
        )
        self.assertEqual(await running.ended, 1)
        self.assertNotIn("Traceback", running.said)
        return running.said

    async def test_port_in_use(self) -> None:
        """A port that is taken ends the start with one sentence."""
        taken = self.name.partition(":")[2]
        said = await self.refused(LISTEN=f"tcp:{taken}:interface=127.0.0.1")
        self.assertIn(f"registryproxy: LISTEN: cannot listen on tcp:{taken}:interface=127.0.0.1: ", said)

    async def test_unusable_folders(self) -> None:
        """A cache folder that is a file ends the start with one sentence that names the setting."""
        (self.root / "file").write_text("")
        self.assertIn("CACHE_DIR: ", await self.refused(CACHE_DIR=str(self.root / "file")))

    async def test_unusable_trust(self) -> None:
        """A file of authorities that is none ends the start with one sentence that names the setting."""
        (self.root / "file").write_text("no PEM")
        for name in ("file", "missing"):
            said = await self.refused(UPSTREAM_CA_FILE=str(self.root / name))
            self.assertIn("UPSTREAM_CA_FILE: ", said)

    async def test_not_built_yet(self) -> None:
        """A setting whose effect is not built yet is refused rather than ignored."""
        self.assertIn("registryproxy: WORKERS: ", await self.refused("--workers", "4"))

    async def test_stop_with_a_connection_kept(self) -> None:
        """A connection that is only kept open does not hold up a stop: it is the proxy that closes it."""
        running = await self.start()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=STOP_GRACE / 2)
        self.addCleanup(connection.close)
        await deferToThread(self._ask_and_keep, connection)
        running.transport.signalProcess("TERM")
        self.assertEqual(await deferToThread(connection.sock.recv, 1), b"")
        self.assertEqual(await running.ended, -signal.SIGTERM)

    def _ask_and_keep(self, connection: HTTPConnection) -> None:
        connection.request("GET", "/livez")
        connection.getresponse().read()

    async def test_stop_with_a_client_waiting(self) -> None:
        """A proxy that is told to stop while a client waits for a registry ends all the same, cleanly."""
        self.registry.slow = True
        blob = self.registry.add_blob(b"0123456789")
        running = await self.start()
        asked = Deferred.fromCoroutine(self.ask(f"/v2/team/app/blobs/{blob}"))
        while not self.registry.sending:
            await _next_turn()
        running.transport.signalProcess("TERM")
        self.registry.sending[0].send(10)
        self.assertEqual((await asked).body, b"0123456789")
        self.assertEqual(await running.ended, -signal.SIGTERM)
        self.assertIn("Server Shut Down.", running.said)
        self.assertNotIn("Traceback", running.said)


def _until_done(
    step: Callable[[], Any], connection: socket.socket, arrived: ssl.MemoryBIO, leaving: ssl.MemoryBIO
) -> Any:
    """Do a step of TLS whose bytes pass through our hands."""
    while True:
        try:
            done = step()
        except ssl.SSLWantReadError:
            connection.sendall(leaving.read())
            arrived.write(connection.recv(1 << 16))
        else:
            connection.sendall(leaving.read())
            return done


def _free_port() -> int:
    """Find a port that is free now; that it is taken before it is used is unlikely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _next_turn() -> "Deferred[None]":
    turn: Deferred[None] = Deferred()
    reactor.callLater(0.01, turn.callback, None)
    return turn
