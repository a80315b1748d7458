"""RegistryChannel: the HTTP/1.1 of one connection, with limits, patience, and bodies that nobody takes."""

from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.http import Request as HTTPRequest
from twisted.web.server import Site

from registryproxy.front.limits import (
    LINGER_BYTES,
    LINGER_SECONDS,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_IGNORED_BODY_BYTES,
    MAX_LINE_BYTES,
    Patience,
)
from registryproxy.front.request import RegistryRequest, Report
from registryproxy.sockets import half_close
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import text_fields


class _Phase(Enum):
    """What a connection is waiting for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()
    # The last answer is on its way while the client may be sending still; all that comes is dropped.
    LINGER = auto()
    # Neither side has more to say; the transport is writing out what it has.
    CLOSING = auto()


_ENDING = frozenset({_Phase.LINGER, _Phase.CLOSING})


class RegistryChannel(HTTPChannel):
    """
    One connection of a client.

    Twisted's own timer is off (C{timeOut} is None): it starts anew with each byte, so that a client that drips its
    head stays for ever.  Nor does Twisted answer what is too long, or anything before it has the whole body.

    @ivar authority: what the connection stands in for.
    """

    MAX_LENGTH = MAX_LINE_BYTES
    totalHeadersSize = MAX_HEAD_BYTES
    maxHeaders = MAX_FIELDS
    requestFactory = RegistryRequest  # type: ignore[assignment]
    timeOut = None

    site: Site
    # Twisted gives these more methods than any one interface has.
    transport: Any
    _networkProducer: Any
    _requestProducer: Any

    def __init__(
        self, clock: IReactorTime, patience: Patience, report: Report, authority: Authority | None = None
    ) -> None:
        """Serve one connection; its requests are recorded by C{report}."""
        HTTPChannel.__init__(self)
        self.clock = clock
        self.report = report
        self.authority = authority
        self._patience = patience
        self._phase = _Phase.HEAD
        self._timer: IDelayedCall | None = None
        self._leaves_body_unread = False
        self._body_bytes = 0
        self._dropped_bytes = 0

    # From its beginning to its end

    def connectionMade(self) -> None:
        """Begin to wait for the head of the first request."""
        HTTPChannel.connectionMade(self)
        self._enter(_Phase.HEAD, self._patience.head)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the timer, and tell the request that is being answered."""
        self._enter(_Phase.CLOSING, None)
        HTTPChannel.connectionLost(self, reason)

    def loseConnection(self) -> None:
        """Close once all is written, and abort if that takes too long."""
        if self._leaves_body_unread:
            self._linger()
        elif self._phase not in _ENDING:
            # TLS waits for the client's goodbye, and TCP for its reading: some clients do neither, ever.
            self._enter(_Phase.CLOSING, self._patience.send)
            HTTPChannel.loseConnection(self)

    def abort(self) -> None:
        """Abort the connection, dropping what is not sent yet."""
        self._enter(_Phase.CLOSING, None)
        self.transport.abortConnection()

    def wind_down(self) -> None:
        """Take no further request: close now if none is under way, else when it is answered."""
        if self._phase is _Phase.IDLE or (self._phase is _Phase.HEAD and not (self.requests or self._buffer)):
            self.loseConnection()
        elif self._phase is not _Phase.HEAD:  # in the middle of one Twisted would read no more of it
            self.persistent = False

    def _enter(self, phase: _Phase, seconds: float | None) -> None:
        """Wait for something else from now on; the timer is set anew."""
        self._phase = phase
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timer = self.clock.callLater(seconds, self._lose_patience)

    def _lose_patience(self) -> None:
        self._timer = None
        if self._phase in _ENDING:
            self.abort()
        elif self._phase is _Phase.IDLE or not (self.requests or self._buffer):
            # Without a word: a client that has asked nothing would take it for the answer to its next request.
            self.loseConnection()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive.")

    # What arrives

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sends, as far as anybody still wants it."""
        if self._phase in _ENDING:
            self._drop(data)
            return
        if self._phase is _Phase.BODY and self._timer is not None:
            self._timer.reset(self._patience.body)
        self._begin_head()
        HTTPChannel.dataReceived(self, data)
        if self._buffer:  # the beginning of a head behind a request that was answered at once
            self._begin_head()

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a head."""
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self._refuse_head(f"The head is longer than {self.totalHeadersSize} bytes.")
        elif self._phase not in _ENDING:  # as it is when a line before was refused
            self._begin_head()
            HTTPChannel.lineReceived(self, line)

    def _begin_head(self) -> None:
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD, self._patience.head)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Refuse a line; Twisted would close without a word."""
        self._refuse_head(f"A line of the head is longer than {self.MAX_LENGTH} bytes.")

    def headerReceived(self, line: bytes) -> bool:
        """Take a field, and tell whether it is fit."""
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse_head(f"The head has more than {self.maxHeaders} fields.")
        return self._phase is _Phase.HEAD and bool(HTTPChannel.headerReceived(self, line))

    def allHeadersReceived(self) -> None:
        """
        Decide what becomes of the body.

        Where C{length} is 0 afterwards, Twisted goes on to have the request answered.
        """
        request = self.requests[-1]
        fault = self._fault(request)
        if fault is not None:
            self._refuse(HTTPStatus.BAD_REQUEST, fault)
            self.length = None
            return
        self.persistent = self.checkPersistence(request, self._version)
        request.gotLength(self.length)
        if self.length == 0:
            return
        if not self._is_ignored(self._command, self.length):
            self._leave_body_unread()
            self.length = 0
            return
        self._body_bytes = 0
        self._enter(_Phase.BODY, self._patience.body)
        if (request.getHeader("expect") or "").lower() == "100-continue" and self._version == b"HTTP/1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _fault(self, request: RegistryRequest) -> str | None:
        """Tell why a server must refuse the head, where Twisted does not."""
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and self._version == b"HTTP/1.1"):
            return "A request has exactly one Host."  # RFC 9112, section 3.2
        if request.requestHeaders.hasHeader(b"transfer-encoding") and self.length is not None:
            return "The only transfer coding that is read here is chunked."
        return None

    def _is_ignored(self, method: bytes, length: int | None) -> bool:
        """Whether a body means nothing and is short, so that reading it is cheaper than a new connection."""
        return method in {b"GET", b"HEAD"} and (length is None or length <= MAX_IGNORED_BODY_BYTES)

    def _leave_body_unread(self) -> None:
        """
        Make the answer at hand the last one, and drop what is received.

        Were the connection to go on, the rest of the body would be read as another request.
        """
        self._leaves_body_unread = True
        self._transferDecoder = None
        self.persistent = False
        _announce_close(self.requests[-1])

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of a body, or what follows the request that is being answered."""
        if self._leaves_body_unread:
            self._drop(data)
            return
        if self._phase is _Phase.BODY and self.length is None:
            # Nobody knows how long a chunked body will be.  Its framing counts: it is as much to read.
            self._body_bytes += len(data)
            if self._body_bytes > MAX_IGNORED_BODY_BYTES:
                self._leave_body_unread()
                self.allContentReceived()
                return
        HTTPChannel.rawDataReceived(self, data)

    def allContentReceived(self) -> None:
        """Have the request answered; from now on it is for the sender of the answer to lose patience."""
        self._enter(_Phase.ANSWER, None)
        HTTPChannel.allContentReceived(self)

    def checkPersistence(self, request: RegistryRequest, version: bytes) -> bool:
        """Tell whether another request may follow; Twisted misses C{close} in a list with commas."""
        fields = request.requestHeaders.getRawHeaders(b"connection", [])
        tokens = {token.strip().lower() for field in fields for token in field.split(b",")}
        if version == b"HTTP/1.1" and b"close" not in tokens and self._patience.idle > 0:
            return True
        _announce_close(request)
        return False

    def _drop(self, data: bytes) -> None:
        self._dropped_bytes += len(data)
        if self._dropped_bytes > LINGER_BYTES:
            self._networkProducer.pauseProducing()

    # What leaves

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Register the producer of an answer.

        It is paused at once while the client has not taken the answer before.  TLS pauses only once, so that a
        client who asks ahead and does not read would otherwise have whole blobs put into our memory.
        """
        HTTPChannel.registerProducer(self, producer, streaming)
        if self._waitingForTransport:
            self._requestProducer.pauseProducing()

    def requestDone(self, request: HTTPRequest) -> None:
        """Wait for the next request, or close."""
        if self.persistent:
            self._enter(_Phase.IDLE, self._patience.idle)
        HTTPChannel.requestDone(self, request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what cannot be parsed; Twisted calls this."""
        self._refuse(HTTPStatus.BAD_REQUEST, "The request is malformed.")

    def _refuse_head(self, sentence: str) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer a request that was not read to its end, and read no other."""
        if self._phase in _ENDING:
            return
        HTTPChannel.clearLineBuffer(self)  # of what follows nothing is looked at
        method, target = getattr(self, "_command", b"-"), getattr(self, "_path", b"-")
        text = sentence.encode() + b"\n"
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), b"Date: " + datetimeToString()]
        lines += [b"%s: %s" % field for field in text_fields(len(text))]
        body = b"" if method == b"HEAD" else text
        self.transport.write(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        request = self.requests[-1] if self.requests else RegistryRequest(self)
        request.refused(status, method, target, len(body))
        self._linger()

    def _linger(self) -> None:
        """
        Close our side, and drop what the client sends until it closes its own.

        When both are closed while it is still sending, its kernel throws the answer away.

        @see: RFC 9112, section 9.6.
        """
        if self._phase in _ENDING:
            return
        self._enter(_Phase.LINGER, LINGER_SECONDS)
        self._networkProducer.unregisterProducer()
        half_close(self.transport)  # TLS says goodbye instead, and reads on until the client does


def _announce_close(request: RegistryRequest) -> None:
    request.responseHeaders.setRawHeaders(b"connection", [b"close"])
