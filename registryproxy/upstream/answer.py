"""UpstreamAnswer: the head of a registry's answer, and the guard over its body."""

from typing import cast

from attrs import define, field, frozen
from treq.response import _Response
from twisted.internet.interfaces import IDelayedCall, IProtocol, IPushProducer, IReactorTime, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer

from registryproxy.errors import UpstreamSilent, UpstreamUnavailable
from registryproxy.interfaces import IUpstreamAnswer
from registryproxy.wire.headers import Fields

_WORTH_DRAINING = 64 * 1024
"""Bytes of an unwanted body that are read, so that the connection can be used again; more, and it is closed."""


@implementer(IUpstreamAnswer)
@frozen(eq=False)
class UpstreamAnswer:
    """
    One answer.

    @ivar name: of the registry, for error messages.
    @ivar silence: seconds without a byte of the body after which it is given up.
    """

    status: int
    fields: Fields
    length: int | None
    _response: _Response
    _name: str
    _clock: IReactorTime
    _silence: float

    @classmethod
    def of(
        cls, response: _Response, method: str, name: str, clock: IReactorTime, silence: float
    ) -> "UpstreamAnswer":
        """Wrap what treq gave."""
        fields = Fields(
            (key.decode("latin-1").lower(), value.decode("latin-1"))
            for key, values in response.headers.getAllRawHeaders()
            for value in values
            # treq leaves an empty Content-Encoding behind where there was none.
            if value or key.lower() != b"content-encoding"
        )
        if method == "HEAD":  # where Twisted leaves the length in the fields, and says zero itself
            written = fields.get("content-length") or ""
            length = int(written) if written.isascii() and written.isdigit() else None
        else:
            length = None if response.length is UNKNOWN_LENGTH else int(response.length)
        return cls(response.code, fields, length, response, name, clock, silence)

    def deliver(self, protocol: IProtocol) -> None:
        """See L{IUpstreamAnswer.deliver}."""
        self._response.deliverBody(_Guard(protocol, self._name, self._clock, self._silence))

    def abandon(self) -> None:
        """See L{IUpstreamAnswer.abandon}."""
        self._response.deliverBody(_Drain())


@implementer(IPushProducer)
@define(eq=False)
class _Guard(Protocol):
    """
    Stands between a body and whoever reads it: notices silence, and says in our words how the body ended.

    Silence does not count while the reader itself has asked for a pause.
    """

    _reader: IProtocol
    _name: str
    _clock: IReactorTime
    _silence: float
    _timer: IDelayedCall | None = field(default=None, init=False)
    _was_silent: bool = field(default=False, init=False)

    def connectionMade(self) -> None:
        self._listen()
        self._reader.makeConnection(cast("ITransport", self))

    def dataReceived(self, data: bytes) -> None:
        if self._timer is not None:
            self._timer.reset(self._silence)
        self._reader.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._hush()
        if self._was_silent:
            reason = Failure(UpstreamSilent(f"{self._name} sent nothing more for {self._silence:g} seconds"))
        elif not reason.check(ResponseDone, PotentialDataLoss):
            reason = Failure(UpstreamUnavailable(f"{self._name} broke off in the middle of its answer"))
        self._reader.connectionLost(reason)

    def pauseProducing(self) -> None:
        self._hush()
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._listen()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._hush()
        self._producer.stopProducing()

    @property
    def _producer(self) -> IPushProducer:
        return cast("IPushProducer", self.transport)

    def _listen(self) -> None:
        self._hush()
        self._timer = self._clock.callLater(self._silence, self._give_up)

    def _hush(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _give_up(self) -> None:
        self._timer = None
        self._was_silent = True
        self._producer.stopProducing()


@define(eq=False)
class _Drain(Protocol):
    """Reads a small body to its end, and cuts a large one off."""

    _left: int = field(default=_WORTH_DRAINING, init=False)

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            cast("IPushProducer", self.transport).stopProducing()
