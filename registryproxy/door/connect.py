"""
The first thing that a client says, and what its connection becomes by it.

No CONNECT: plain HTTP, for pages and mirrors.  A CONNECT to a registry of ours: TLS, in which we stand in for it.
A CONNECT to anybody else: a tunnel, if that is allowed.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from registryproxy.door.tunnel import Tunnel, TunnelEnd
from registryproxy.door.ways import ConnectReport, Result, Ways
from registryproxy.errors import ClientError, RegistryProxyError
from registryproxy.sockets import half_close, tune
from registryproxy.wire.authority import Authority, host_of
from registryproxy.wire.connect import ConnectParser, ConnectRequest, NotConnect
from registryproxy.wire.headers import text_fields

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

LINGER_SECONDS = 5.0
"""How long a client may take to read what we said last, before the connection is aborted."""

_CLIENT_LEFT = 499  # nginx's word in logs for a client that did not wait for its answer


class HeadTooSlow(ClientError):
    """The head of the first request did not arrive in time."""

    status = 408


@implementer(IHalfCloseableProtocol)
@define(eq=False)
class ConnectProtocol(Protocol):
    """
    Reads the first head, then hands the connection on for good.

    Whatever it becomes, the transport goes on talking to this object, which passes everything on.

    @ivar _came: is told when the connection stands.
    @ivar _gone: is told when nothing is left of it, the far end of a tunnel included.
    """

    # Twisted gives it more methods than any one interface has.
    transport: Any = field(init=False, default=None)
    _ways: Ways
    _came: Callable[["ConnectProtocol"], None]
    _gone: Callable[["ConnectProtocol"], None]
    _parser: ConnectParser | None = field(factory=ConnectParser, init=False)  # until the head is read
    _attempt: Deferred[Any] | None = field(default=None, init=False)  # while a host is being reached
    _inner: IProtocol | None = field(default=None, init=False)  # from when the connection was handed on
    _early: bytes = field(default=b"", init=False, repr=False)  # sent before there was a tunnel
    _tunnel: Tunnel | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _begun_at: float = field(default=0.0, init=False)
    _is_lost: bool = field(default=False, init=False)
    _log = Logger()

    @property
    def is_idle(self) -> bool:
        """Whether the client has said nothing yet."""
        return self._parser is not None and not self._parser.has_begun

    def connectionMade(self) -> None:
        """Begin to wait for the head."""
        tune(self.transport)
        self._begun_at = self._ways.clock.seconds()
        self._came(self)
        self._wait(self._ways.head_timeout, self._lose_patience)

    def dataReceived(self, data: bytes) -> None:
        """Read on, or pass on; what comes behind a refused head nobody wants."""
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif self._parser is not None:
            self._read_head(self._parser, data)
        elif self._attempt is not None:
            self._early += data

    def readConnectionLost(self) -> None:
        """
        Pass on that the client has said all that it will.

        To those who cannot tell that from the end of the connection it must be the end: most clients mean it so.
        What is written already is given some time, where Twisted would drop it.
        """
        half_closeable = _half_closeable(self._inner)
        if half_closeable is not None:
            half_closeable.readConnectionLost()
        else:
            self._wait(LINGER_SECONDS, self.transport.abortConnection)  # first: closing may be done at once
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Pass on that we have said all that we will, to those who want to know."""
        half_closeable = _half_closeable(self._inner)
        if half_closeable is not None:
            half_closeable.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give up what was begun, and pass it on."""
        self._is_lost = True
        self._wait(None)
        if self._attempt is not None:
            self._attempt.cancel()
        if self._inner is not None:
            self._inner.connectionLost(reason)
        if self._tunnel is None:  # else its other end is to go, too
            self._gone(self)

    def abort(self) -> None:
        """Break off whatever it has become."""
        self.transport.abortConnection()
        if self._tunnel is not None:  # whose client may be gone while the host still has bytes to take
            self._tunnel.abort()

    def _wait(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Wait for something else from now on; the timer is set anew."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if seconds is not None and then is not None:
            self._timer = self._ways.clock.callLater(seconds, then)

    # The head

    def _read_head(self, parser: ConnectParser, data: bytes) -> None:
        try:
            head = parser.feed(data)
        except ClientError as error:
            self._refuse(error)
            return
        if head is not None:
            self._parser = None
            self._wait(None)
            maybeDeferred(self._go_on, head).addErrback(self._break_off)

    def _go_on(self, head: ConnectRequest | NotConnect) -> None:
        if isinstance(head, NotConnect):
            pages = self._ways.pages(self.transport.getPeer())
            if pages is None:
                self.transport.abortConnection()
            else:
                self._become(pages, head.received)
        elif self._ways.is_listed(head.authority):
            self._intercept(head)
        else:
            self._dial(head)

    def _become(self, inner: IProtocol, received: bytes) -> None:
        self._inner = inner
        inner.makeConnection(self.transport)
        if received and not self._is_lost:
            inner.dataReceived(received)

    def _lose_patience(self) -> None:
        if self.is_idle:  # an answer would be taken for that to the client's first request
            self.transport.loseConnection()
        else:
            self._refuse(HeadTooSlow("the head of the request took too long to arrive"))

    def _break_off(self, failure: Failure) -> None:
        self._log.failure("a bug, while a connection was handed on", failure=failure)
        self.abort()

    # What it becomes

    def _intercept(self, request: ConnectRequest) -> None:
        try:
            inner = self._ways.intercept(request.authority)
        except RegistryProxyError as error:
            self._refuse(error, request.authority)
            return
        self.transport.write(ESTABLISHED)
        self._become(inner, request.rest)

    def _dial(self, request: ConnectRequest) -> None:
        """Reach the host; until that is done the client's bytes, and its leaving, wait in the kernel."""
        self._early = request.rest
        self.transport.pauseProducing()
        attempt = self._attempt = self._ways.dial(request.authority, Factory.forProtocol(TunnelEnd))
        attempt.addCallbacks(
            self._open_tunnel,
            self._tell_why_not,
            callbackArgs=(request.authority,),
            errbackArgs=(request.authority,),
        )
        attempt.addErrback(self._break_off)

    def _open_tunnel(self, upstream: TunnelEnd, authority: Authority) -> None:
        self._attempt = None
        self.transport.write(ESTABLISHED)
        client = TunnelEnd()
        ended = partial(self._tell_of_tunnel, authority)
        self._tunnel = Tunnel(client, upstream, self._ways.clock, self._ways.patience, ended)
        self._become(client, b"")
        self._tunnel.join()
        self.transport.resumeProducing()
        if self._early:
            client.dataReceived(self._early)
            self._early = b""

    def _tell_why_not(self, failure: Failure, authority: Authority) -> None:
        self._attempt = None
        if self._is_lost:
            self._report(
                "failed", _CLIENT_LEFT, authority, reason="the client left before there was a tunnel"
            )
            return
        if isinstance(failure.value, RegistryProxyError):
            self.transport.resumeProducing()
            self._refuse(failure.value, authority)
        else:
            self._break_off(failure)

    def _tell_of_tunnel(self, authority: Authority) -> None:
        assert self._tunnel is not None  # noqa: S101  it has just ended
        up, down = self._tunnel.client.received, self._tunnel.upstream.received
        self._report("tunnelled", HTTPStatus.OK, authority, bytes_up=up, bytes_down=down)
        self._gone(self)

    # What it does not become

    def _refuse(self, error: RegistryProxyError, authority: Authority | None = None) -> None:
        """Answer with one sentence, and close."""
        self._parser = None
        status = HTTPStatus(error.status)
        body = f"{error}\n".encode()
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
        lines += [b"%s: %s" % each for each in text_fields(len(body))]
        self.transport.write(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        self._report(
            "refused" if isinstance(error, ClientError) else "failed", status, authority, reason=str(error)
        )
        self._linger()

    def _linger(self) -> None:
        """
        Close our side, and drop what the client sends until it closes its own.

        When both are closed while it is still sending, its kernel throws our answer away.

        @see: RFC 9112, section 9.6.
        """
        self._wait(LINGER_SECONDS, self.transport.abortConnection)
        half_close(self.transport)

    def _report(self, result: Result, status: int, authority: Authority | None, **facts: Any) -> None:
        report = ConnectReport(
            client=host_of(self.transport.getPeer()),
            authority=authority,
            result=result,
            status=int(status),
            seconds=self._ways.clock.seconds() - self._begun_at,
            **facts,
        )
        self._ways.report(report)


def _half_closeable(protocol: IProtocol | None) -> IHalfCloseableProtocol | None:
    return IHalfCloseableProtocol(protocol, None)
