"""Connections to registries: kept open between requests, and open to the long header lines that clouds send."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.client import HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.iweb import IResponse

MAX_LINE = 64 * 1024
"""Bytes of one header line that a registry may send, without its end: tokens of clouds exceed Twisted's 16 KiB."""
MAX_HEAD = 128 * 1024
"""Bytes of all header lines of one answer, without their ends."""
_IDLE_PER_HOST = 32
# Registries and their CDNs close earlier than Twisted's 240 s, and a request on a dying connection is a request lost.
_IDLE_SECONDS = 55


class HeadTooLong(Exception):
    """The head of an answer exceeds the limits; the message says which."""


class _Protocol(HTTP11ClientProtocol):
    """One connection, with our limits on the heads of answers."""

    def request(self, request: Request) -> "Deferred[IResponse]":
        answered = super().request(request)
        parser: Any = self._parser
        if parser is not None:
            # Twisted takes LF for the end of a line, and CR for a part of it.
            parser.MAX_LENGTH = MAX_LINE + 1
            parser.lineLengthExceeded = self._refuse_line
            take_line = parser.lineReceived
            room = MAX_HEAD

            def counted(line: bytes) -> None:
                nonlocal room
                room -= len(line.removesuffix(b"\r"))
                if room < 0:
                    self._refuse(f"a head of more than {MAX_HEAD // 1024} KiB")
                take_line(line)

            parser.lineReceived = counted
        return answered

    def _refuse_line(self, _line: bytes) -> None:
        self._refuse(f"a header line of more than {MAX_LINE // 1024} KiB")

    def _refuse(self, what: str) -> None:
        # A polite end of TLS would wait for the other side, which is still busy sending.
        transport: Any = self.transport
        transport.abortConnection()
        raise HeadTooLong(what)


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
