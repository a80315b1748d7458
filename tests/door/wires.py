"""A TCP connection in memory, half-closing and all, of which the test plays the peer."""

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, INegotiated, ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import classImplements, directlyProvides, providedBy


class Wire(StringTransport):
    """
    The transport of a protocol.

    It does at once what a real one does when the reactor comes round to it, so that whoever is not ready for being
    called back while he calls is found out.

    @ivar done: what was done to the connection: C{half-close}, C{close}, C{abort}.
    @ivar is_stuck: whether the peer takes nothing, so that closing waits for ever.
    @ivar waiting: bytes that the peer has not taken.
    """

    def __init__(self, protocol: Any) -> None:
        """Connect a protocol."""
        super().__init__()
        self.protocol = protocol
        self.done: list[str] = []
        self.options: dict[str, bool] = {}
        self.is_stuck = False
        self.is_lost = False
        self.waiting = 0

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read."""
        return bool(self.producerState == "paused")

    # What the peer does

    def receive(self, data: bytes) -> None:
        """The peer sends something."""
        self.protocol.dataReceived(data)

    def peer_finishes(self) -> None:
        """The peer has said all that it will."""
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.lose(ConnectionDone())

    def peer_breaks(self) -> None:
        """The peer resets the connection."""
        self.lose(ConnectionLost())

    def lose(self, reason: Exception) -> None:
        """The connection is gone."""
        if not self.is_lost:
            self.is_lost = self.disconnecting = True
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason))

    # What the protocol does

    def write(self, data: bytes) -> None:
        """Keep what is written, unless nobody can read it any more."""
        if not self.is_lost:
            assert "half-close" not in self.done, "written to after half-closing"
            super().write(data)

    def loseWriteConnection(self) -> None:
        """Tell the peer that all is said; while a producer is registered TCP transports may never do it."""
        assert self.producer is None, "half-closed while a producer is registered"
        self.done.append("half-close")
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def loseConnection(self) -> None:
        """Close, once all is written; twice is once."""
        if not self.disconnecting:
            self.done.append("close")
        self.disconnecting = True
        if not self.is_stuck:
            self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        """Break off."""
        if not self.is_lost:
            self.done.append("abort")
            self.lose(ConnectionAborted())

    def resumeProducing(self) -> None:
        """Read on, if there is anything to be read from."""
        if not self.disconnecting:
            super().resumeProducing()

    def pauseProducing(self) -> None:
        """Read no more, if there is anything to be read from."""
        if not self.disconnecting:
            super().pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Remember it."""
        self.options["nodelay"] = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Remember it."""
        self.options["keepalive"] = enabled

    def getTcpNoDelay(self) -> bool:
        """Tell it."""
        return self.options["nodelay"]

    def getTcpKeepAlive(self) -> bool:
        """Tell it."""
        return self.options["keepalive"]


classImplements(Wire, ITCPTransport)


def wire(protocol: Any) -> Wire:
    """Connect a protocol, and return its end of the connection."""
    made = Wire(protocol)
    protocol.makeConnection(made)
    return made


def tls_wire(protocol: Any) -> Wire:
    """Do likewise with what passes for TLS: it claims whatever the transport below does, and more."""
    made = Wire(protocol)
    directlyProvides(made, providedBy(made), INegotiated)
    protocol.makeConnection(made)
    return made
