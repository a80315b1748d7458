"""Tests for L{registryproxy.front.channel} and L{registryproxy.front.streaming} on sockets, with and without TLS."""

import hashlib
import os
import socket
import ssl as stdlib_ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection, IncompleteRead
from typing import Any, TypeVar

from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from registryproxy.errors import UpstreamUnavailable
from registryproxy.front.leaving import ClientGone, ClientStalled
from registryproxy.front.request import RegistryRequest
from registryproxy.front.site import RegistrySite
from registryproxy.front.streaming import send_blob
from registryproxy.wire.authority import Authority
from tests.support.blobs import MemoryBlobSource

T = TypeVar("T")
SECONDS = 20.0
"""For which a client of the tests waits, lest a fault hangs them."""

BLOB = os.urandom(2**20) * 48
"""More than the buffers of both ends of a connection hold."""


class Shelf(Resource):
    """Sends the source it was given to everybody, and refuses what would write."""

    isLeaf = True

    def __init__(self, source: MemoryBlobSource, clock: IReactorTime, send_timeout: float) -> None:
        """Send C{source}."""
        Resource.__init__(self)
        self.source = source
        self.asked: list[RegistryRequest] = []
        self.outcomes: list[object] = []
        self.ended: Deferred[None] = Deferred()
        self._clock = clock
        self._send_timeout = send_timeout

    def render(self, request: Request) -> bytes | int:
        """Begin to send."""
        assert isinstance(request, RegistryRequest)
        self.asked.append(request)
        if request.method != b"GET":
            request.setResponseCode(405)
            return b"this proxy only reads\n"
        request.setHeader("content-length", str(self.source.size))
        sent = Deferred.fromCoroutine(send_blob(self.source, request, None, self._clock, self._send_timeout))
        sent.addCallback(lambda _: request.finish())
        sent.addErrback(self._abort, request)
        sent.addCallback(self._note)
        return NOT_DONE_YET

    @staticmethod
    def _abort(failure: Failure, request: RegistryRequest) -> object:
        request.abort()
        return failure.value

    def _note(self, outcome: object) -> None:
        self.outcomes.append(outcome)
        if not self.ended.called:
            self.ended.callback(None)


@define(eq=False)
class Door:
    """A site that listens on loopback."""

    shelf: Shelf
    port: int
    reports: list[RegistryRequest] = field(factory=list)

    def connect(self) -> socket.socket:
        """Connect a plain socket; blocks."""
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)


def certificate() -> CertificateOptions:
    """Make a certificate of our own for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    return CertificateOptions(privateKey=key, certificate=made)  # type: ignore[arg-type]


def trusting() -> stdlib_ssl.SSLContext:
    """Make a client's context that takes any certificate, and would like to speak HTTP/2."""
    context = stdlib_ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = stdlib_ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


class SocketTestCase(TestCase):
    """What the tests below share: they need the real reactor, for they are about its transports."""

    timeout = 60

    def setUp(self) -> None:
        """Take the reactor."""
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def listen(self, factory: Any) -> int:
        """Listen until the test has ended, and all connections with it."""
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(self.until(self.is_quiet)))
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def is_quiet(self) -> bool:
        """Tell whether no connection is left."""
        return not any(isinstance(each, Server) for each in self.reactor.getReaders())

    def open(
        self, source: MemoryBlobSource | None = None, tls: bool = False, send_timeout: float = SECONDS
    ) -> Door:
        """Open a door behind which a blob is sent to everybody."""
        shelf = Shelf(MemoryBlobSource.whole(BLOB) if source is None else source, self.reactor, send_timeout)
        reports: list[RegistryRequest] = []
        site = RegistrySite(shelf, self.reactor, reports.append)
        if not tls:
            return Door(shelf, self.listen(site), reports)
        stand_in = site.standing_in_for(Authority("quay.io", 443))
        wrapped = TLSMemoryBIOFactory(certificate(), False, stand_in, self.reactor)
        return Door(shelf, self.listen(wrapped), reports)

    async def blocking(self, work: Callable[[], T]) -> T:
        """Do a client's work in a thread."""
        return await deferToThread(work)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what must come soon; the test's own timeout says when it has not."""
        while not condition():
            await deferLater(self.reactor, 0.01)

    async def settled(self, measure: Callable[[], T]) -> T:
        """Wait until a measure has not changed for a while, and return it."""
        last, unchanged = measure(), 0
        while unchanged < 20:
            await deferLater(self.reactor, 0.01)
            now = measure()
            last, unchanged = now, unchanged + 1 if now == last else 0
        return last


def read_on(connection: socket.socket) -> bytes:
    """Read to the end of a connection."""
    pieces = []
    while piece := connection.recv(2**16):
        pieces.append(piece)
    return b"".join(pieces)


class PlainTests(SocketTestCase):
    """On plain TCP."""

    async def test_answer_survives_an_upload(self) -> None:
        """A client that sends a large body before it reads gets the whole answer, and a clean end."""
        door = self.open()

        def upload() -> bytes:
            with door.connect() as client:
                client.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
                client.sendall(bytes(8 * 2**20))
                return read_on(client)

        answer = await self.blocking(upload)
        self.assertTrue(answer.startswith(b"HTTP/1.1 405 "), answer[:80])
        self.assertTrue(answer.endswith(b"this proxy only reads\n"), answer)
        self.assertEqual(len(door.shelf.asked), 1)

    async def test_answer_survives_a_large_head(self) -> None:
        """A client that sends far more of a head than is taken gets the whole refusal."""
        door = self.open()

        def ask() -> bytes:
            with door.connect() as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 2**21)
                return read_on(client)

        answer = await self.blocking(ask)
        self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer[:80])
        self.assertIn(b"Connection: close\r\n", answer)

    async def test_client_that_reads_late(self) -> None:
        """A client that does not read is not written to; when it does, it gets the content."""
        door = self.open()

        def ask() -> socket.socket:
            client = door.connect()
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return client

        client = await self.blocking(ask)
        self.addCleanup(client.close)
        await self.until(lambda: bool(door.shelf.source.reads))
        read = await self.settled(lambda: door.shelf.source.reads[-1][0])
        self.assertLess(read, len(BLOB) / 2)
        answer = await self.blocking(lambda: read_on(client))
        self.assertEqual(hashlib.sha256(answer[-len(BLOB) :]).digest(), hashlib.sha256(BLOB).digest())
        await self.until(lambda: [each.is_complete for each in door.reports] == [True])

    async def test_client_that_stalls(self) -> None:
        """A client that reads no more is aborted after its time."""
        door = self.open(send_timeout=0.3)
        client = await self.blocking(door.connect)
        self.addCleanup(client.close)
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await door.shelf.ended
        self.assertIsInstance(door.shelf.outcomes[0], ClientStalled)
        await self.until(lambda: [each.is_complete for each in door.reports] == [False])

    async def test_client_that_leaves(self) -> None:
        """A client that leaves is missed at once, also while there is nothing to be sent to it."""
        growing = MemoryBlobSource.growing(b"content", 7)
        growing.grow(b"con")
        for source in (MemoryBlobSource.whole(BLOB), growing):
            door = self.open(source)
            client = await self.blocking(door.connect)
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await self.until(lambda door=door: bool(door.shelf.source.reads))  # type: ignore[misc]
            client.close()
            await door.shelf.ended
            self.assertIsInstance(door.shelf.outcomes[0], ClientGone)
            await self.until(lambda door=door: [each.is_complete for each in door.reports] == [False])  # type: ignore[misc]

    async def test_cut_body(self) -> None:
        """A body that cannot be finished ends with a reset, not with an end that could look well."""
        source = MemoryBlobSource.growing(b"content", 7)
        source.grow(b"con")
        door = self.open(source)
        client = await self.blocking(door.connect)
        self.addCleanup(client.close)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        await self.until(lambda: source.waiting == 1)
        source.fail(UpstreamUnavailable("it broke off"))
        with self.assertRaises(ConnectionResetError):
            await self.blocking(lambda: read_on(client))


class TLSTests(SocketTestCase):
    """Behind TLS, as an intercepted registry is."""

    async def test_speaks_http_11(self) -> None:
        """HTTP/1.1 is agreed upon, also with a client that prefers HTTP/2; one connection serves many requests."""
        door = self.open(MemoryBlobSource.whole(b"content"), tls=True)

        def ask() -> tuple[str | None, list[bytes]]:
            client = HTTPSConnection("127.0.0.1", door.port, timeout=SECONDS, context=trusting())
            bodies = []
            for _ in range(3):
                client.request("GET", "/")
                bodies.append(client.getresponse().read())
            agreed = client.sock.selected_alpn_protocol()
            client.close()
            return agreed, bodies

        self.assertEqual(await self.blocking(ask), ("http/1.1", [b"content"] * 3))
        self.assertEqual({str(each.authority) for each in door.shelf.asked}, {"quay.io:443"})

    async def test_content(self) -> None:
        """A large blob arrives as it is."""
        door = self.open(tls=True)

        def ask() -> bytes:
            client = HTTPSConnection("127.0.0.1", door.port, timeout=SECONDS, context=trusting())
            client.request("GET", "/")
            body = client.getresponse().read()
            client.close()
            return body

        body = await self.blocking(ask)
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(BLOB).digest())

    async def test_cut_body(self) -> None:
        """A body that cannot be finished is seen to be cut."""
        source = MemoryBlobSource.growing(b"content", 7)
        source.grow(b"con")
        door = self.open(source, tls=True)
        client = HTTPSConnection("127.0.0.1", door.port, timeout=SECONDS, context=trusting())
        self.addCleanup(client.close)
        await self.blocking(lambda: client.request("GET", "/"))
        await self.until(lambda: source.waiting == 1)
        source.fail(UpstreamUnavailable("it broke off"))
        with self.assertRaises((ConnectionError, IncompleteRead, stdlib_ssl.SSLError)):
            await self.blocking(lambda: client.getresponse().read())

    async def test_answer_survives_an_upload(self) -> None:
        """A client that sends a large body before it reads gets the whole answer."""
        door = self.open(tls=True)

        def upload() -> bytes:
            with trusting().wrap_socket(door.connect()) as client:
                client.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n")
                client.sendall(bytes(8 * 2**20))
                return read_on(client)

        answer = await self.blocking(upload)
        self.assertTrue(answer.endswith(b"this proxy only reads\n"), answer)

    async def test_client_that_asks_ahead_and_does_not_read(self) -> None:
        """However much a client asks for without reading, a bounded amount waits in our memory."""
        door = self.open(tls=True)

        def ask() -> stdlib_ssl.SSLSocket:
            client = trusting().wrap_socket(door.connect())
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
            return client

        client = await self.blocking(ask)
        self.addCleanup(client.close)
        await self.until(lambda: bool(door.shelf.source.reads))
        read = await self.settled(lambda: len(door.shelf.source.reads))
        self.assertLess(read * 2**17, len(BLOB) / 2)
        left = len(BLOB) + 1000

        def read_first() -> None:
            got = 0
            while got < left:
                got += len(client.recv(2**16))

        await self.blocking(read_first)
        await self.until(lambda: len(door.shelf.asked) == 2)
        read_before = len(door.shelf.source.reads)
        read = await self.settled(lambda: len(door.shelf.source.reads))
        self.assertLess((read - read_before) * 2**17, len(BLOB) / 2)


class PatienceTests(SocketTestCase):
    """What a client sees that is let go of."""

    async def test_plain_client_keeps_its_connection(self) -> None:
        """A refused upload without a body leaves the connection open for the next request."""
        door = self.open(MemoryBlobSource.whole(b"content"))

        def ask() -> list[tuple[int, bytes]]:
            client = HTTPConnection("127.0.0.1", door.port, timeout=SECONDS)
            found = []
            for method in ("DELETE", "GET"):
                client.request(method, "/")
                answer = client.getresponse()
                found.append((answer.status, answer.read()))
            client.close()
            return found

        self.assertEqual(await self.blocking(ask), [(405, b"this proxy only reads\n"), (200, b"content")])
