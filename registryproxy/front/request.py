"""RegistryRequest: a client's request, with what the house wants to know and do of it."""

import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.resource import IResource
from twisted.web.server import Request

from registryproxy.front.facts import Facts
from registryproxy.wire.authority import Authority, host_of
from registryproxy.wire.headers import SERVER, text_fields

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)


class Connection(Protocol):
    """What a request asks of the channel that it came by."""

    clock: IReactorTime
    authority: Authority | None
    report: "Report"

    def getPeer(self) -> IAddress:
        """Tell the client's address."""

    def abort(self) -> None:
        """Abort the connection, dropping what is not sent yet."""


class RegistryRequest(Request):
    """
    A request that knows whose connection it came by, and is recorded once.

    @ivar request_id: short, random, for logs.
    @ivar started_at: seconds of the clock at which its first line had come.
    @ivar client_address: the client's IP address, or an empty string for transports that have none.
    @ivar authority: the authority that the connection stands in for, from the client's CONNECT; None for the
        plain pages.
    @ivar absolute_authority: what a target in absolute form named, not validated; None for the usual form.
    @ivar facts: what the log will say.
    @ivar is_complete: whether the answer was written to its end.
    """

    defaultContentType = None
    # Twisted takes the channel away when the client has left.
    channel: Connection | None  # type: ignore[assignment]
    absolute_authority: str | None = None
    is_complete: bool = False
    _was_processed: bool = False
    _was_aborted: bool = False

    def __init__(self, channel: Connection, *args: Any, **keywords: Any) -> None:
        """Take what the channel knows."""
        Request.__init__(self, channel, *args, **keywords)
        self.request_id = secrets.token_hex(6)
        self.started_at = channel.clock.seconds()
        self.client_address = host_of(channel.getPeer())
        self.authority = channel.authority
        self.facts = Facts()
        self._report = channel.report

    @property
    def is_gone(self) -> bool:
        """Whether nobody is there any more to be answered."""
        return self._disconnected or self._was_aborted

    # What the channel calls

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        """Make no room for a body: Twisted would keep it in memory, or in a file when it is long."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Drop a piece of a body that nobody asked for."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        Answer, with the target in origin form.

        @see: RFC 9112, section 3.2.2: a server accepts the absolute form from anybody.
        """
        self._was_processed = True
        absolute = _ABSOLUTE.fullmatch(path)
        if absolute is not None:
            self.absolute_authority = absolute["authority"].decode("latin-1")
            path = absolute["rest"]
            path = path if path.startswith(b"/") else b"/" + path
        Request.requestReceived(self, command, path, version)

    def process(self) -> None:
        """Find the resource, and let it answer."""
        if self.path.startswith(b"/"):
            Request.process(self)
        else:
            self.answer_text(HTTPStatus.BAD_REQUEST, "The target of a request is a path, or a URL.")

    def render(self, resrc: IResource) -> None:
        """Answer by a resource, under our own name rather than Twisted's."""
        self.setHeader(b"server", SERVER)
        Request.render(self, resrc)

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer for a resource that failed; an answer that had begun is cut off, so that it cannot look whole."""
        self._log.failure("a bug, while answering request {id}", failure=reason, id=self.request_id)
        if self.startedWriting:
            self.abort()
        elif not self.is_gone:
            self.answer_text(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error; the log of the proxy says more."
            )
        return reason

    def connectionLost(self, reason: Failure) -> None:
        """Tell those who wait for the end that the client has left, and have it recorded."""
        Request.connectionLost(self, reason)
        if self._was_processed:
            self._report(self)

    # What resources call

    def answer_text(self, status: HTTPStatus, text: str) -> None:
        """Give a whole answer of one sentence."""
        body = text.encode() + b"\n"
        self.setResponseCode(status)
        for name, value in text_fields(len(body)):
            self.setHeader(name, value)
        self.write(body)
        self.finish()

    def abort(self) -> None:
        """
        Abort the connection at once, dropping what is not sent yet.

        A body that is cut never looks whole to the client: neither the last chunk nor a clean end of TLS is sent.
        """
        if not self.is_gone:
            self._was_aborted = True
            if self.channel is not None:
                self.channel.abort()

    def finish(self) -> None:
        """
        End the answer; nothing happens when nobody is there any more.

        An answer whose body is not as long as was promised is cut off instead, for the client would take the next
        one for its rest.
        """
        if self.is_gone:
            return
        promised = self.responseHeaders.getRawHeaders(b"content-length")
        has_body = self.method != b"HEAD" and self.code not in NO_BODY_CODES
        if has_body and promised and int(promised[-1]) != self.sentLength:
            self._log.error(
                "the answer to {id} was ended after {sent} of {promised} bytes",
                id=self.request_id,
                sent=self.sentLength,
                promised=int(promised[-1]),
            )
            self.abort()
            return
        Request.finish(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Register a producer, or stop it when nobody is there to be answered."""
        if self.is_gone:
            producer.stopProducing()
        else:
            Request.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer, also after the client has left."""
        if self.channel is None:
            self.producer = None
        else:
            Request.unregisterProducer(self)

    # For the record, which each request enters once: by one of these, or when its client leaves before

    def ended(self) -> None:
        """Record an answer that was written to its end."""
        self.is_complete = True
        self._report(self)

    def refused(self, status: HTTPStatus, method: bytes, target: bytes, sent: int) -> None:
        """Record a head that could not be read to its end, and what the channel has answered."""
        self.method, self.uri, self.path = method, target, target
        self.setResponseCode(status)
        self.sentLength = sent
        self.ended()


Report = Callable[[RegistryRequest], None]
"""Takes a request whose answer has ended, or whose client has left; it must not raise."""
