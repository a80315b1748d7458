"""Tunnels through real sockets: C{door/connect.py}, C{front/tunnel.py} and C{front/addresses.py} together."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IListeningPort, IProtocol, IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from registryproxy.door import connect
from registryproxy.door.dialler import Dialler
from registryproxy.door.factory import ConnectFactory
from registryproxy.door.tunnel import TunnelEnd, TunnelPatience
from registryproxy.door.ways import ConnectReport, Ways
from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.sockets import unacknowledged
from registryproxy.wire.authority import Authority

MIB = 2**20
BODY_MIB = 128
HOST = "127.0.0.1"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

# What a transport holds before it pauses, and what the read that made it full adds to it.
MOST_IN_MEMORY = 2 * 65536


def mebibyte(number: int) -> bytes:
    """Make a mebibyte that is like no other."""
    return hashlib.sha256(b"%d" % number).digest() * (MIB // 32)


@implementer(IHalfCloseableProtocol)
@define(eq=False)
class Peer(Protocol):
    """
    One of those who talk through the tunnel.

    @ivar pause: seconds for which it rests, after each mebibyte.
    @ivar keeps: whether what is heard is kept, and not only counted.
    @ivar read_out: fires when the other one has said all.
    @ivar lost: fires with the reason when the connection is gone.
    """

    transport: Any = field(default=None, init=False)
    keeps: bool = True
    heard: bytearray = field(factory=bytearray, init=False)
    count: int = field(default=0, init=False)
    digest: Any = field(factory=hashlib.sha256, init=False)
    made: Deferred[Peer] = field(factory=Deferred, init=False)
    read_out: Deferred[None] = field(factory=Deferred, init=False)
    lost: Deferred[BaseException | None] = field(factory=Deferred, init=False)
    reason: BaseException | None = field(default=None, init=False)
    _awaited: tuple[int, Deferred[None]] | None = field(default=None, init=False)
    pause: float = 0.0
    _since_pause: int = field(default=0, init=False)

    def connectionMade(self) -> None:
        """Tell that there is a connection."""
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        """Listen; then rest for a while, if that is how this peer is."""
        self.count += len(data)
        self.digest.update(data)
        if self.keeps:
            self.heard += data
        if self._awaited is not None and self.count >= self._awaited[0]:
            awaited, self._awaited = self._awaited[1], None
            awaited.callback(None)
        self._since_pause += len(data)
        if self.pause and self._since_pause >= MIB:
            self._since_pause = 0
            self.transport.pauseProducing()
            clock: Any = reactor
            clock.callLater(self.pause, self.transport.resumeProducing)

    def readConnectionLost(self) -> None:
        """Take note that the other one has said all."""
        self.read_out.callback(None)

    def writeConnectionLost(self) -> None:
        """Go on listening."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell why it is over."""
        self.reason = reason.value
        self.lost.callback(reason.value)

    def hears(self, count: int) -> Deferred[None]:
        """Wait for so many bytes in all."""
        waiting: Deferred[None] = Deferred()
        if self.count >= count:
            waiting.callback(None)
        else:
            self._awaited = count, waiting
        return waiting


@implementer(IPullProducer)
@define(eq=False)
class Speech:
    """So many mebibytes, as fast as they are taken; then the speaker has said all."""

    _peer: Peer
    _size: int = BODY_MIB
    _said: int = field(default=0, init=False)
    digest: Any = field(factory=hashlib.sha256, init=False)

    def resumeProducing(self) -> None:
        """Say another mebibyte."""
        if self._said == self._size:
            self._peer.transport.unregisterProducer()
            self._peer.transport.loseWriteConnection()
            return
        words = mebibyte(self._said)
        self._said += 1
        self.digest.update(words)
        self._peer.transport.write(words)

    def stopProducing(self) -> None:
        """Fall silent."""


class WatchedEnd(TunnelEnd):
    """An end that remembers how much its transport held at most."""

    most = 0

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, and look."""
        super().dataReceived(data)
        to = self.tunnel.other(self).transport
        held = len(to.dataBuffer) - to.offset + to._tempDataLen
        WatchedEnd.most = max(WatchedEnd.most, held)


class TunnelSocketTests(TestCase):
    """A client, the proxy and a host, all on loopback."""

    timeout = 60

    async def start(self, policy: TunnelPolicy | None = None, patience: TunnelPatience | None = None) -> None:
        """Open the host's port and the proxy's."""
        self.host = Peer()
        self.hosts_port = await self.listen(Factory.forProtocol(lambda: self.host))
        self.reports: list[ConnectReport] = []
        dialler = Dialler(reactor, policy or TunnelPolicy(mode="any", ports=None), 10.0)
        clock: Any = reactor
        ways = Ways(
            clock=clock,
            pages=lambda _address: None,
            is_listed=lambda _authority: False,
            intercept=self.never,
            dial=dialler.dial,
            report=self.reports.append,
            patience=patience or TunnelPatience(),
        )
        self.door = ConnectFactory(ways)
        self.proxys_port = await self.listen(self.door)
        self.addCleanup(self.door.close_all)
        self.addCleanup(self.leave, self.host)

    async def leave(self, peer: Peer) -> None:
        """Close a peer's connection for good; one that is half-closed both ways is in nobody's care."""
        if peer.transport is not None:
            peer.transport.abortConnection()
            if peer.reason is None:
                await peer.lost

    def never(self, _authority: Authority) -> IProtocol:
        """Stand in for nobody."""
        raise AssertionError

    async def listen(self, factory: Factory) -> int:
        """Open a port until the test is over."""
        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(factory)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port  # type: ignore[attr-defined]
        return number

    async def tunnel(self, *, client: Peer | None = None, eager: bytes = b"") -> Peer:
        """Let a client come in, and ask for a tunnel to the host; wait until it stands."""
        client = await self.come_in(client or Peer())
        client.transport.write(self.head(self.hosts_port) + eager)
        await client.hears(len(ESTABLISHED))
        self.assertEqual(bytes(client.heard[: len(ESTABLISHED)]), ESTABLISHED)
        del client.heard[: len(ESTABLISHED)]
        client.digest = hashlib.sha256()
        client.keeps = False
        return client

    async def come_in(self, client: Peer) -> Peer:
        """Connect a client with the proxy."""
        await connectProtocol(TCP4ClientEndpoint(reactor, HOST, self.proxys_port), client)
        self.addCleanup(self.leave, client)
        return client

    def head(self, port: int) -> bytes:
        """Write a CONNECT."""
        return f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()

    async def assertReported(self, up: int, down: int) -> None:
        """Wait for the end of everything; fail unless so many bytes were reported."""
        await self.door.close_all(grace=10.0)
        [report] = self.reports
        self.assertEqual((report.result, report.bytes_up, report.bytes_down), ("tunnelled", up, down))
        self.assertEqual((report.client, report.authority), (HOST, Authority(HOST, self.hosts_port)))

    async def test_slow_client(self) -> None:
        """128 MiB to a client that rests every MiB arrive as they were said; hardly any of it is in our memory."""
        await self.start()
        self.patch(WatchedEnd, "most", 0)
        self.patch(connect, "TunnelEnd", WatchedEnd)
        client = await self.tunnel(client=Peer(pause=0.005))
        speech = Speech(self.host)
        self.host.transport.registerProducer(speech, False)
        await client.read_out
        self.assertEqual(client.count, len(ESTABLISHED) + BODY_MIB * MIB)
        self.assertEqual(client.digest.digest(), speech.digest.digest())
        self.assertLessEqual(WatchedEnd.most, MOST_IN_MEMORY)
        client.transport.loseConnection()
        await self.assertReported(0, BODY_MIB * MIB)

    async def test_slow_host(self) -> None:
        """The same holds the other way."""
        await self.start()
        self.host.pause, self.host.keeps = 0.005, False
        self.patch(WatchedEnd, "most", 0)
        self.patch(connect, "TunnelEnd", WatchedEnd)
        client = await self.tunnel()
        speech = Speech(client)
        client.transport.registerProducer(speech, False)
        await self.host.read_out
        self.assertEqual(self.host.count, BODY_MIB * MIB)
        self.assertEqual(self.host.digest.digest(), speech.digest.digest())
        self.assertLessEqual(WatchedEnd.most, MOST_IN_MEMORY)
        self.host.transport.loseConnection()
        await self.assertReported(BODY_MIB * MIB, 0)

    async def test_eager_client(self) -> None:
        """What comes behind the head, more than any buffer holds, arrives though the host is not yet reached."""
        await self.start()
        words = mebibyte(1) * 8
        await self.tunnel(eager=words)
        await self.host.hears(len(words))
        self.assertEqual(bytes(self.host.heard), words)

    async def test_client_half_closes(self) -> None:
        """A client may say all, and then listen to an answer of any length."""
        await self.start()
        client = await self.tunnel()
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        await self.host.read_out
        self.assertEqual(bytes(self.host.heard), b"question")
        self.host.transport.write(mebibyte(1) * 8)
        self.host.transport.loseConnection()
        await client.read_out
        self.assertEqual(client.count, len(ESTABLISHED) + 8 * MIB)
        client.transport.loseConnection()
        self.assertIsInstance(await client.lost, ConnectionDone)
        await self.assertReported(8, 8 * MIB)

    async def test_host_half_closes(self) -> None:
        """A host may say all first, and then listen."""
        await self.start()
        client = await self.tunnel()
        self.host.transport.write(b"banner")
        self.host.transport.loseWriteConnection()
        await client.read_out
        client.transport.write(mebibyte(1) * 8)
        client.transport.loseConnection()
        await self.host.read_out
        self.assertEqual(bytes(self.host.heard), mebibyte(1) * 8)
        await self.assertReported(8 * MIB, 6)

    async def test_client_breaks(self) -> None:
        """A client's reset is the host's reset."""
        await self.start()
        client = await self.tunnel()
        client.transport.abortConnection()
        self.assertIsInstance(await self.host.lost, ConnectionLost)
        await self.assertReported(0, 0)

    async def test_host_breaks(self) -> None:
        """A host's reset is the client's reset."""
        await self.start()
        client = await self.tunnel()
        self.host.transport.abortConnection()
        self.assertIsInstance(await client.lost, ConnectionLost)
        await self.assertReported(0, 0)

    async def test_client_takes_nothing(self) -> None:
        """
        A client that takes nothing of what waits for it is broken off, though it goes on speaking, and so is the host.

        All that waits is in the kernel: our own buffers are empty.
        """
        await self.start(patience=TunnelPatience(read=60.0, send=0.2))
        client = await self.tunnel()
        client.transport.pauseProducing()
        speaking = LoopingCall(client.transport.write, b"x")
        speaking.start(0.02)
        self.host.transport.registerProducer(Speech(self.host, 1), False)
        self.assertIsInstance(await self.host.lost, ConnectionLost)
        speaking.stop()
        self.assertEqual([(each.result, each.bytes_down) for each in self.reports], [("tunnelled", MIB)])

    async def test_the_kernel_tells_what_waits(self) -> None:
        """What a peer has not taken can be told of a real connection, and of no other transport."""
        await self.start()
        client = await self.tunnel()
        self.assertEqual(unacknowledged(self.host.transport), 0)
        client.transport.pauseProducing()
        self.host.transport.registerProducer(Speech(self.host), False)
        [connection] = self.door._open
        waits: Any = LoopingCall(lambda: unacknowledged(connection.transport) and waits.stop())
        await waits.start(0.01)
        self.assertIs(unacknowledged(StringTransport()), None)

    async def test_refusal_is_read(self) -> None:
        """A client that has sent megabytes behind its head reads the refusal, and not a reset."""
        await self.start(TunnelPolicy())
        client = await self.come_in(Peer())
        client.transport.write(self.head(self.hosts_port) + mebibyte(1) * 8)
        await client.read_out
        self.assertTrue(client.heard.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertIn(b"TUNNEL_PORTS", client.heard)
        client.transport.loseConnection()
        await client.lost

    async def test_nobody_listens(self) -> None:
        """A host that refuses is a 502."""
        await self.start()
        port = await TCP4ServerEndpoint(reactor, 0, interface=HOST).listen(Factory.forProtocol(Protocol))
        number = port.getHost().port
        await port.stopListening()
        client = await self.come_in(Peer())
        client.transport.write(self.head(number))
        await client.read_out
        self.assertTrue(client.heard.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
        self.assertIn(b"refused", client.heard)
        client.transport.loseConnection()
        await client.lost
