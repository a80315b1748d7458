"""Tests for L{registryproxy.flight}."""

from typing import Any

from hypothesis import given
from hypothesis.strategies import integers, sets
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.flight import SingleFlight


class Airport:
    """Launches flights, and lets them land when the test says."""

    def __init__(self) -> None:
        """Begin with an empty sky."""
        self.flight: SingleFlight[str, str] = SingleFlight()
        self.launched: list[Deferred[str]] = []

    async def launch(self) -> str:
        """Fly until the test lets land."""
        flying: Deferred[str] = Deferred()
        self.launched.append(flying)
        return await flying

    def join(self, key: str = "key") -> "Deferred[str]":
        """Join the flight of that name."""
        return self.flight.join(key, self.launch)


class SingleFlightTests(SynchronousTestCase):
    """Many want it, one fetches it."""

    def setUp(self) -> None:
        """Build an airport."""
        self.airport = Airport()

    def test_one_for_all(self) -> None:
        """All who join while it flies share one launch, and its result."""
        waiters = [self.airport.join() for _ in range(3)]
        self.assertEqual(len(self.airport.launched), 1)
        for waiter in waiters:
            self.assertNoResult(waiter)
        self.airport.launched[0].callback("result")
        self.assertEqual([self.successResultOf(each) for each in waiters], ["result"] * 3)

    def test_keys_are_apart(self) -> None:
        """Flights of different names know nothing of each other."""
        first, second = self.airport.join("a"), self.airport.join("b")
        self.airport.launched[1].callback("b")
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second), "b")
        self.assertEqual([self.airport.flight.is_flying(key) for key in "abc"], [True, False, False])

    def test_nothing_is_remembered(self) -> None:
        """Once it has landed, the next to ask launches anew."""
        self.airport.join()
        self.airport.launched[0].callback("old")
        later = self.airport.join()
        self.assertNoResult(later)
        self.airport.launched[1].callback("new")
        self.assertEqual(self.successResultOf(later), "new")

    def test_failures_are_shared(self) -> None:
        """A failure reaches everybody, and is not remembered either."""
        waiters = [self.airport.join() for _ in range(3)]
        self.airport.launched[0].errback(KeyError("gone"))
        for waiter in waiters:
            self.failureResultOf(waiter, KeyError)
        self.assertFalse(self.airport.flight.is_flying("key"))

    def test_failure_that_nobody_waits_for(self) -> None:
        """When all have left, a failure is nobody's, and no bug in the log."""
        waiter = self.airport.join()
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        self.airport.launched[0].errback(KeyError("gone"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_waiter_leaves(self) -> None:
        """Whoever leaves, be it the one who launched, neither stops the flight nor disturbs the others."""
        first, second, third = (self.airport.join() for _ in range(3))
        for leaving in (first, third):
            leaving.cancel()
            self.failureResultOf(leaving, CancelledError)
        self.assertNoResult(second)
        self.airport.launched[0].callback("result")
        self.assertEqual(self.successResultOf(second), "result")
        self.assertEqual(len(self.airport.launched), 1)

    def test_all_leave_and_others_come(self) -> None:
        """The flight goes on though nobody waits: whoever comes later joins it."""
        first = self.airport.join()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        later = self.airport.join()
        self.assertEqual(len(self.airport.launched), 1)
        self.airport.launched[0].callback("result")
        self.assertEqual(self.successResultOf(later), "result")

    def test_lands_at_once(self) -> None:
        """A flight that has its result at once gives it at once."""

        async def launch() -> str:
            return "result"

        for _ in range(2):
            self.assertEqual(self.successResultOf(self.airport.flight.join("key", launch)), "result")
            self.assertFalse(self.airport.flight.is_flying("key"))

    def test_cannot_be_launched(self) -> None:
        """A launch that raises before anything flies fails its waiter, and blocks nobody after it."""

        def broken() -> Any:
            raise ZeroDivisionError

        self.failureResultOf(self.airport.flight.join("key", broken), ZeroDivisionError)
        self.airport.join()
        self.assertEqual(len(self.airport.launched), 1)

    def test_joining_while_it_lands(self) -> None:
        """Whoever asks again upon landing gets a new flight, and not the result that has just been given out."""
        again: list[Deferred[str]] = []

        def ask_again(result: str) -> str:
            self.assertFalse(self.airport.flight.is_flying("key"))
            again.append(self.airport.join())
            return result

        first = self.airport.join().addCallback(ask_again)
        second = self.airport.join()
        self.airport.launched[0].callback("old")
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("old", "old"))
        self.assertNoResult(again[0])
        self.assertEqual(len(self.airport.launched), 2)

    def test_one_waiter_sends_another_away(self) -> None:
        """A waiter that is cancelled by one who was told before it is not told."""
        first = self.airport.join()
        second = self.airport.join()
        first.addCallback(lambda _: second.cancel())
        self.airport.launched[0].callback("result")
        self.failureResultOf(second, CancelledError)

    def test_a_waiter_with_a_bug(self) -> None:
        """A waiter that fails upon the result keeps it from nobody."""
        first = self.airport.join().addCallback(lambda _: 1 / 0)
        second = self.airport.join()
        self.airport.launched[0].callback("result")
        self.assertEqual(self.successResultOf(second), "result")
        self.failureResultOf(first, ZeroDivisionError)

    @given(integers(1, 20), sets(integers(0, 19)))
    def test_whoever_stays_is_told(self, count: int, leaving: set[int]) -> None:
        """However many there are and whoever leaves, who stays is told, once, from one launch."""
        airport = Airport()
        waiters = [airport.join() for _ in range(count)]
        for index in leaving & set(range(count)):
            waiters[index].cancel()
            self.failureResultOf(waiters[index], CancelledError)
        airport.launched[0].callback("result")
        told = [self.successResultOf(each) for index, each in enumerate(waiters) if index not in leaving]
        self.assertEqual((set(told) - {"result"}, len(airport.launched)), (set(), 1))
