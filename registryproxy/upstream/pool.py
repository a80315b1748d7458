"""Connections to registries: kept open between requests, and open to the long header lines that clouds send."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.client import HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.iweb import IResponse

MAX_LINE = 64 * 1024
"""Bytes of one header line that a registry may send: tokens of clouds exceed Twisted's 16 KiB."""
MAX_HEAD = 128 * 1024
"""Bytes of all header lines of one answer."""
_IDLE_PER_HOST = 32
# Registries and their CDNs close earlier than Twisted's 240 s, and a request on a dying connection is a request lost.
_IDLE_SECONDS = 55


class _Protocol(HTTP11ClientProtocol):
    """One connection, with our limits on the heads of answers."""

    def request(self, request: Request) -> "Deferred[IResponse]":
        answered = super().request(request)
        parser: Any = self._parser
        transport: Any = self.transport
        if parser is not None:
            parser.MAX_LENGTH = MAX_LINE
            take_line = parser.lineReceived
            room = MAX_HEAD

            def counted(line: bytes) -> None:
                nonlocal room
                room -= len(line)
                if room < 0:
                    transport.abortConnection()
                else:
                    take_line(line)

            parser.lineReceived = counted
        return answered


class _Factory(_HTTP11ClientFactory):
    """Makes them."""

    def buildProtocol(self, addr: IAddress | None) -> HTTP11ClientProtocol:  # noqa: ARG002
        return _Protocol(self._quiescentCallback)  # type: ignore[no-untyped-call]


class UpstreamPool(HTTPConnectionPool):
    """Idle connections; there is no limit on busy ones."""

    _factory = _Factory
    maxPersistentPerHost = _IDLE_PER_HOST
    cachedConnectionTimeout = _IDLE_SECONDS

    def __init__(self, reactor: IReactorTime) -> None:
        """Keep connections, for as long as C{reactor} says."""
        HTTPConnectionPool.__init__(self, reactor, persistent=True)
