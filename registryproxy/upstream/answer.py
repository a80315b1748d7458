"""UpstreamAnswer: the head of a registry's answer, and the guard over its body."""

import re
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

_LENGTH = re.compile("[0-9]{1,18}")
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
        if response.length is UNKNOWN_LENGTH:  # or that of a body which is decoded on its way
            length = None
        elif method == "HEAD":  # where Twisted leaves the length in the fields, and says zero itself
            match = _LENGTH.fullmatch(fields.get("content-length") or "")
            length = None if match is None else int(match[0])
        else:
            length = int(response.length)
        return cls(response.code, fields, length, response, name, clock, silence)

    def deliver(self, protocol: IProtocol) -> None:
        """See L{IUpstreamAnswer.deliver}."""
        guard = _Guard(protocol, self._name, self._clock, self._silence)
        self._response.deliverBody(guard)
        guard.delivered()

    def abandon(self) -> None:
        """See L{IUpstreamAnswer.abandon}."""
        self.deliver(_Drain())


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
    _is_paused: bool = field(default=False, init=False)
    _has_ended: bool = field(default=False, init=False)

    def connectionMade(self) -> None:
        self._listen()
        self._reader.makeConnection(cast("ITransport", self))

    def dataReceived(self, data: bytes) -> None:
        if self._timer is not None:
            self._timer.reset(self._silence)
        self._reader.dataReceived(data)

    def delivered(self) -> None:
        """Pause again, if the reader has asked for it at once: Twisted resumes once it has delivered what it had."""
        if self._is_paused and not self._has_ended:
            self._producer.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._has_ended = True
        self._hush()
        if self._was_silent:
            reason = Failure(UpstreamSilent(f"{self._name} sent nothing more for {self._silence:g} seconds"))
        elif not reason.check(ResponseDone, PotentialDataLoss):
            reason = Failure(UpstreamUnavailable(f"{self._name} broke off in the middle of its answer"))
        self._reader.connectionLost(reason)

    def pauseProducing(self) -> None:
        self._is_paused = True
        self._hush()
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._is_paused = False
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
        if not self._has_ended:
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
