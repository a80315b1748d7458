"""A server that answers each request with just the bytes that a test wants."""

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


@define(eq=False)
class Peer(Protocol):
    """One connection to a scripted server."""

    server: "ScriptedServer"
    transport: Any = field(default=None, init=False)
    _received: bytes = field(default=b"", init=False)

    def connectionMade(self) -> None:
        """Be counted."""
        self.server.peers.append(self)

    def dataReceived(self, data: bytes) -> None:
        """Answer each request, once its head is whole; none has a body."""
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self.server.heads.append(head)
            self.server.answer(self, head)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Be counted no more."""
        self.server.peers.remove(self)

    def say(self, *lines: bytes, body: bytes = b"") -> None:
        """Send a head of these lines, and a body, whatever the lines promise."""
        self.transport.write(b"\r\n".join([*lines, b"", body]))


@define(eq=False)
class ScriptedServer(Factory):
    """
    Serves what the test says.

    @ivar answer: called with the connection, and the head of the request without its empty line.
    @ivar heads: of all requests, in order.
    @ivar peers: connections that are open.
    @ivar accepted: how many connections there were.
    """

    answer: Callable[[Peer, bytes], None]
    heads: list[bytes] = field(factory=list, init=False)
    peers: list[Peer] = field(factory=list, init=False)
    accepted: int = field(default=0, init=False)

    def buildProtocol(self, addr: IAddress | None) -> Peer:  # noqa: ARG002
        """Take one more connection."""
        self.accepted += 1
        return Peer(self)


def whole(body: bytes, *fields: bytes) -> Callable[[Peer, bytes], None]:
    """Answer every request with 200 and this body."""

    def answer(peer: Peer, _head: bytes) -> None:
        peer.say(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields, body=body)

    return answer
