"""Bodies on their way to clients, each at its own client's pace."""

from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from registryproxy.errors import ContentMismatch, TooLarge
from registryproxy.front.leaving import ClientGone, ClientStalled, StallWatch
from registryproxy.front.request import RegistryRequest
from registryproxy.interfaces import IBlobSource, IUpstreamAnswer
from registryproxy.wire.ranges import Span

CHUNK_BYTES = 128 * 1024
"""
What is read and written at once: above what a transport of Twisted takes without pausing us, so that one chunk a
client waits in our memory.  A slow client has C{send_timeout} for each; larger ones gain nothing that was measured.
"""

TURN_BYTES = 1024 * 1024
"""What is written to a client that never pauses us, before others have their turn."""


async def send_blob(
    source: IBlobSource, request: RegistryRequest, span: Span | None, clock: IReactorTime, send_timeout: float
) -> None:
    """
    Write content, or a span of it, as the body of an answer, in the way that suits its transport best.

    The source is left open, and the answer unfinished.

    @param span: None for all there is, to wherever it ends.
    @param send_timeout: seconds for which the client may take nothing.
    @raise ClientGone: if the client leaves, or stalls.
    @raise UpstreamError: if the rest of the content will never come, or is not what it should be; what is written
        must then not be finished, but aborted.
    """
    start, stop = (0, source.size) if span is None else (span.start, span.stop)
    await BlobSender(source, request, clock, send_timeout).send(start, stop)


async def relay_body(
    answer: IUpstreamAnswer,
    request: RegistryRequest,
    clock: IReactorTime,
    send_timeout: float,
    limit: int | None = None,
) -> None:
    """
    Write the body of a registry's answer as the body of ours; the client sets the registry's pace.

    The answer is left unfinished.  However this ends but well, the connection to the registry is closed.

    @param send_timeout: seconds for which the client may take nothing.
    @param limit: bytes that the body may have at most.
    @raise ClientGone: if the client leaves, or stalls.
    @raise TooLarge: if the body exceeds the limit.
    @raise UpstreamError: if the body was cut; what is written must then not be finished, but aborted.
    """
    if request.is_gone:
        answer.abandon()
        raise ClientGone
    relay = RelaySender(request, clock, send_timeout, limit)
    answer.deliver(relay)
    await relay.ended


@implementer(IPushProducer)
@define(eq=False)
class BlobSender:
    """A push producer that is written as a loop; good for one body."""

    _source: IBlobSource
    _request: RegistryRequest
    _clock: IReactorTime
    _send_timeout: float
    _watch: StallWatch = field(init=False)
    _gate: "Deferred[None] | None" = field(default=None, init=False)
    _awaited: "Deferred[None] | None" = field(default=None, init=False)
    _end: ClientGone | None = field(default=None, init=False)
    _unpaused_bytes: int = field(default=0, init=False)

    @_watch.default
    def _make_watch(self) -> StallWatch:
        return StallWatch(self._clock, self._send_timeout, self._stalled)

    async def send(self, start: int, stop: int | None) -> None:
        """
        Write bytes C{start} (inclusive) to C{stop} (exclusive), or to the end of the source.

        @raise ClientGone: if the client leaves, or stalls.
        @raise UpstreamError: if the source fails, or ends before C{stop}.
        """
        self._request.registerProducer(self, True)
        try:
            await self._write_span(start, stop)
        finally:
            self._watch.stop()
            self._request.unregisterProducer()

    async def _write_span(self, start: int, stop: int | None) -> None:
        offset = start
        while stop is None or offset < stop:
            if self._end is not None:
                raise self._end
            if self._gate is not None:
                await self._wait(self._gate)
            elif self._unpaused_bytes >= TURN_BYTES:
                self._unpaused_bytes = 0
                await self._wait(deferLater(self._clock, 0))
            count = CHUNK_BYTES if stop is None else min(CHUNK_BYTES, stop - offset)
            chunk = self._source.read(offset, count)
            if not chunk:
                await self._wait(self._source.when_beyond(offset))
                chunk = self._source.read(offset, count)
            if not chunk:
                break
            self._request.write(chunk)
            offset += len(chunk)
            self._unpaused_bytes += len(chunk)
        promised = self._source.size if stop is None else stop
        if promised is not None and offset != promised:
            raise ContentMismatch(f"{self._source.digest} ended after {offset} bytes, before {promised}")

    async def _wait(self, waiting: "Deferred[None]") -> None:
        """Wait, and stop waiting when the client is lost."""
        self._awaited = waiting
        try:
            await waiting
        except CancelledError:
            if self._end is not None:
                raise self._end from None
            raise
        finally:
            self._awaited = None

    def pauseProducing(self) -> None:
        """Shut the gate, for the client is slow."""
        if self._gate is None:
            self._gate = Deferred()
            self._unpaused_bytes = 0
            self._watch.paused()

    def resumeProducing(self) -> None:
        """Open the gate."""
        gate, self._gate = self._gate, None
        self._watch.resumed()
        if gate is not None and not gate.called:
            gate.callback(None)

    def stopProducing(self) -> None:
        """Give up, for the client has left."""
        self._give_up(ClientGone())

    def _stalled(self) -> None:
        self._request.abort()
        self._give_up(ClientStalled.after(self._send_timeout))

    def _give_up(self, end: ClientGone) -> None:
        if self._end is None:
            self._end = end
            if self._awaited is not None:
                self._awaited.cancel()


@implementer(IPushProducer)
@define(eq=False)
class RelaySender(Protocol):
    """
    Receives the body of a registry's answer, and writes it to a client.

    @ivar ended: fires when the body has ended, or fails; cancelling it closes the connection to the registry.
    """

    _request: RegistryRequest
    _clock: IReactorTime
    _send_timeout: float
    _limit: int | None = None
    ended: "Deferred[None]" = field(init=False)
    _watch: StallWatch = field(init=False)
    _received: int = field(default=0, init=False)
    _has_ended: bool = field(default=False, init=False)
    # An IPushProducer.
    transport: Any = field(default=None, init=False)

    @ended.default
    def _make_ended(self) -> "Deferred[None]":
        return Deferred(lambda _: self._let_go())

    @_watch.default
    def _make_watch(self) -> StallWatch:
        return StallWatch(self._clock, self._send_timeout, self._stalled)

    def connectionMade(self) -> None:
        """Let the client set the pace."""
        self._request.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Write a piece of the body."""
        if self._has_ended:
            return
        self._received += len(data)
        if self._limit is not None and self._received > self._limit:
            self._break_off(TooLarge(f"the registry's answer is longer than {self._limit} bytes"))
        else:
            self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note how the body ended; one without a length ends well by closing, for nobody knows better."""
        if self._has_ended:
            return
        self._has_ended = True
        self._watch.stop()
        self._request.unregisterProducer()
        if reason.check(ResponseDone, PotentialDataLoss):
            self.ended.callback(None)
        else:
            self.ended.errback(reason)

    def pauseProducing(self) -> None:
        """Pause the registry, for the client is slow."""
        self._watch.paused()
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Let the registry go on."""
        self._watch.resumed()
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Break off, for the client has left."""
        self._break_off(ClientGone())

    def _stalled(self) -> None:
        self._request.abort()
        self._break_off(ClientStalled.after(self._send_timeout))

    def _break_off(self, error: Exception) -> None:
        if not self._has_ended:
            self._let_go()
            self.ended.errback(error)

    def _let_go(self) -> None:
        self._has_ended = True
        self._watch.stop()
        self._request.unregisterProducer()
        self.transport.stopProducing()
