"""The door: every connection that came in by it, until it is gone."""

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory

from registryproxy.door.connect import ConnectProtocol
from registryproxy.door.ways import Ways


@define(eq=False)
class ConnectFactory(Factory):
    """
    Makes a L{ConnectProtocol} for each connection, and knows those that are open.

    @ivar _ways: what connections may become.
    """

    noisy = False
    _ways: Ways
    _open: set[ConnectProtocol] = field(factory=set, init=False, repr=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False, repr=False)

    @property
    def open_connections(self) -> int:
        """How many there are; a tunnel counts until both of its connections are gone."""
        return len(self._open)

    def buildProtocol(self, addr: IAddress | None) -> ConnectProtocol:  # noqa: ARG002  the transport knows it, too
        """See C{IProtocolFactory.buildProtocol}."""
        return ConnectProtocol(self._ways, self._open.add, self._forget)

    def close_all(self, grace: float = 0.0) -> Deferred[None]:
        """
        Close every connection: those on which nothing was said now, the others when they are done.

        @param grace: seconds after which those that are left are aborted.
        @return: fires when all are gone.
        """
        closed: Deferred[None] = Deferred()
        if not self._open:
            closed.callback(None)
            return closed
        self._waiting.append(closed)
        for connection in list(self._open):
            if connection.is_idle:
                connection.transport.loseConnection()
        aborting = self._ways.clock.callLater(grace, self._abort_all)
        return closed.addBoth(_cancelling, aborting)

    def _forget(self, connection: ConnectProtocol) -> None:
        self._open.discard(connection)
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    def _abort_all(self) -> None:
        for connection in list(self._open):
            connection.abort()


def _cancelling(result: None, call: IDelayedCall) -> None:
    if call.active():
        call.cancel()
    return result
