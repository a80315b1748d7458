"""Threads that the test steps."""

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred


@define(eq=False)
class Threads:
    """
    Runs nothing before the test says so; give me wherever an C{InThread} is wanted.

    @ivar waiting: what is to be run, in order.
    """

    waiting: "list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]]" = field(
        factory=list, init=False
    )

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
        """Take a piece of work."""
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, function, arguments))
        return done

    @property
    def next(self) -> str | None:
        """The name of what is to be run next."""
        return self.waiting[0][1].__name__ if self.waiting else None

    def step(self) -> None:
        """Run the next piece of work."""
        done, function, arguments = self.waiting.pop(0)
        try:
            result = function(*arguments)
        except Exception:  # noqa: BLE001  as a thread pool does
            done.errback()
        else:
            done.callback(result)

    def fail(self, error: Exception) -> None:
        """Let the next piece of work fail."""
        self.waiting.pop(0)[0].errback(error)

    def run(self) -> list[str]:
        """Run all there is, and what comes of it; return the names."""
        names = []
        while self.next is not None:
            names.append(self.next)
            self.step()
        return names
