"""SingleFlight: many want it, one fetches it."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

K = TypeVar("K")
T = TypeVar("T")


@define(eq=False)
class SingleFlight(Generic[K, T]):
    """
    Share the result of one coroutine among all who ask for the same key while it runs.

    Failures are shared, too.  Nothing is remembered once it has landed.
    """

    _flying: dict[K, list["Deferred[T]"]] = field(factory=dict, init=False)

    def join(self, key: K, launch: Callable[[], Coroutine["Deferred[Any]", Any, T]]) -> "Deferred[T]":
        """
        Wait for the flight named C{key}, launching it if there is none.

        A waiter may be cancelled; the flight goes on, for others may come.
        """
        waiter: Deferred[T] = Deferred()
        if key in self._flying:
            self._flying[key].append(waiter)
        else:
            self._flying[key] = [waiter]
            landed = Deferred.fromCoroutine(_fly(launch))
            landed.addBoth(self._land, key)
        return waiter

    def is_flying(self, key: K) -> bool:
        """Tell whether the next to join would share, rather than launch."""
        return key in self._flying

    def _land(self, result: T | Failure, key: K) -> None:
        for waiter in self._flying.pop(key):
            if waiter.called:  # cancelled, and gone
                continue
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)


async def _fly(launch: Callable[[], Coroutine["Deferred[Any]", Any, T]]) -> T:
    """Launch within the flight, so that a launch that fails at once lands, too, and nobody waits for ever."""
    return await launch()
