"""How clients leave: by closing, or by taking nothing any more."""

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from registryproxy.errors import ClientError


class ClientGone(ClientError):
    """The client left before its answer had ended: there is nobody to be told."""

    def __init__(self, message: str = "the client has left") -> None:
        """Tell how it left."""
        super().__init__(message)


class ClientStalled(ClientGone):
    """The client took nothing for too long, and its connection was aborted."""

    @classmethod
    def after(cls, seconds: float) -> "ClientStalled":
        """Tell how long the client was waited for."""
        return cls(f"the client took nothing for {seconds:g} seconds")


@define(eq=False)
class StallWatch:
    """
    Notice that a client takes nothing.

    Clients pause and resume thousands of times in one body.  So the timer is not set anew each time: it runs on,
    and looks at the clock when it fires.

    @ivar seconds: the longest pause that is borne.
    @ivar stalled: called once, when a pause was longer.
    """

    _clock: IReactorTime
    _seconds: float
    _stalled: Callable[[], None]
    _paused_at: float | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def paused(self) -> None:
        """Note that the client takes nothing from now on."""
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            if self._timer is None:
                self._timer = self._clock.callLater(self._seconds, self._look)

    def resumed(self) -> None:
        """Note that the client has taken what there was."""
        self._paused_at = None

    def stop(self) -> None:
        """Watch no more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._paused_at is None:
            return
        rest = self._paused_at + self._seconds - self._clock.seconds()
        if rest > 0:
            self._timer = self._clock.callLater(rest, self._look)
        else:
            self._stalled()
