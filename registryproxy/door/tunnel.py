"""
The blind relay: two connections, and whatever one of them reads, the other one writes.

What must hold: at most one buffer's worth waits in our memory for each direction, for the writing end pauses the
reading one; what one peer has finished saying is finished for the other one, while the other direction goes on;
a connection that broke breaks the other one, so that nobody takes a part for the whole; and nothing that no longer
moves stays for ever.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from registryproxy.sockets import half_close, tune, unacknowledged

LOOKS = 4
"""How often a tunnel is looked at within its shorter timeout: it may end late by a quarter of that."""


@frozen(kw_only=True)
class TunnelPatience:
    """
    How long a tunnel is borne with, in seconds.

    @ivar read: while nothing moves in either direction.
    @ivar send: while a peer takes nothing of what waits for it.
    """

    read: float = 60.0
    send: float = 60.0


@implementer(IHalfCloseableProtocol, IPushProducer)
class TunnelEnd(Protocol):
    """
    One of the two connections.

    As a producer it is what the other end's transport pauses and resumes.

    @ivar received: bytes read from the peer.
    @ivar is_paused: whether it waits for the other end to write out what it has.
    @ivar is_read_out: whether the peer has said all that it will.
    @ivar is_lost: whether the connection is gone.
    """

    # Twisted gives it more methods than any one interface has.
    transport: Any
    tunnel: "Tunnel"

    def __init__(self) -> None:
        """Wait to be joined with another end."""
        self.received = 0
        self.is_paused = False
        self.is_read_out = False
        self.is_lost = False
        self._is_fed = False

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "tunnel"

    def connectionMade(self) -> None:
        """Tune the connection."""
        tune(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Give it to the other end."""
        self.received += len(data)
        self.tunnel.other(self).transport.write(data)

    def readConnectionLost(self) -> None:
        """Tell the other end's peer that no more will come."""
        self.is_read_out = True
        self.tunnel.read_out(self)

    def writeConnectionLost(self) -> None:
        """Take note that we have said all that we will; the other direction goes on."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the tunnel, in the manner in which the connection ended."""
        self.is_lost = True
        self.tunnel.lost(self, reason)

    def pauseProducing(self) -> None:
        """Read no more for the moment."""
        self.is_paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self.is_paused = False
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: the other end is lost, and says so itself."""

    def feed_from(self, other: "TunnelEnd") -> None:
        """Let our transport pause the other end while it has too much to write."""
        self._is_fed = True
        self.transport.registerProducer(other, True)

    def feed_no_more(self) -> None:
        """
        Let our transport write what it has, and no more will come.

        While a paused producer is registered, a transport neither closes nor half-closes.
        """
        if self._is_fed:
            self._is_fed = False
            self.transport.unregisterProducer()

    def close(self) -> None:
        """Close the connection once all is written."""
        self.feed_no_more()
        if not self.is_lost:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Break the connection off."""
        if not self.is_lost:
            self.transport.abortConnection()


@define(eq=False)
class _Direction:
    """What goes from one end to the other, as it looked the last time."""

    _source: TunnelEnd
    _sink: TunnelEnd
    _seen: tuple[int, int] = field(default=(0, 0), init=False)
    _waits_since: float = field(default=0.0, init=False)

    def look(self, now: float) -> bool:
        """Tell whether anything has moved since the last time."""
        waiting = 0 if self._sink.is_lost else unacknowledged(self._sink.transport)
        if waiting is None:
            waiting = int(self._source.is_paused)
        seen, self._seen = self._seen, (self._source.received, waiting)
        if seen != self._seen or not waiting:
            self._waits_since = now
        return seen != self._seen

    def has_waited(self, now: float) -> float:
        """Tell for how long the peer has taken nothing of what there is for it."""
        return now - self._waits_since


@define(eq=False)
class Tunnel:
    """
    Two connected ends.

    Nothing is done for the clock's sake when bytes move: a timer looks at the counters instead.

    @ivar _ended: called once, when both connections are gone.
    """

    client: TunnelEnd
    upstream: TunnelEnd
    _clock: IReactorTime
    _patience: TunnelPatience
    _ended: Callable[[], None]
    _directions: tuple[_Direction, _Direction] = field(init=False)
    _still_since: float = field(init=False)
    _is_closing: bool = field(default=False, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    @_directions.default
    def _make_directions(self) -> tuple[_Direction, _Direction]:
        return _Direction(self.client, self.upstream), _Direction(self.upstream, self.client)

    @_still_since.default
    def _now(self) -> float:
        return self._clock.seconds()

    def join(self) -> None:
        """Let both ends, whose connections stand, know of one another; from now on bytes may move."""
        for end in (self.client, self.upstream):
            end.tunnel = self
        for end in (self.client, self.upstream):
            end.feed_from(self.other(end))
        self._look_later()

    def other(self, end: TunnelEnd) -> TunnelEnd:
        """Return the end that is not this one."""
        return self.upstream if end is self.client else self.client

    def read_out(self, end: TunnelEnd) -> None:
        """One peer has said all that it will."""
        other = self.other(end)
        other.feed_no_more()
        if other.is_read_out:
            end.close()
            other.close()
        else:
            half_close(other.transport)

    def lost(self, end: TunnelEnd, reason: Failure) -> None:
        """One connection is gone."""
        other = self.other(end)
        if other.is_lost:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            self._ended()
        elif reason.check(ConnectionDone):
            other.close()
        else:
            other.abort()

    def _look_later(self) -> None:
        delay = min(self._patience.read, self._patience.send) / LOOKS
        self._timer = self._clock.callLater(delay, self._look)

    def _look(self) -> None:
        self._look_later()
        now = self._clock.seconds()
        moves = [each.look(now) for each in self._directions]  # both, each time
        if any(moves):
            self._still_since = now
        if any(each.has_waited(now) >= self._patience.send for each in self._directions):
            self.abort()
        elif now - self._still_since >= self._patience.read:
            self._end_idle(now)

    def _end_idle(self, now: float) -> None:
        if self._is_closing:
            self.abort()
            return
        self._is_closing = True
        self._still_since = now
        self.client.close()
        self.upstream.close()

    def abort(self) -> None:
        """Break both connections off."""
        self.client.abort()
        self.upstream.abort()
