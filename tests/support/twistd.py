"""The proxy as its operator starts it: a process of its own, under twistd or twist."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

CHECKOUT = Path(__file__).parents[2]
TWISTD = ("-c", "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()")
TWIST = ("-m", "twisted")


@define(eq=False)
class Running(ProcessProtocol):
    """
    A process, and what it says.

    @ivar said: what it has written, both streams together.
    @ivar ended: fires with its exit status, negative for a signal.
    """

    transport: IProcessTransport = field(init=False)
    said: str = field(default="", init=False)
    ended: "Deferred[int]" = field(factory=Deferred, init=False)
    _waiting: list[tuple[str, "Deferred[None]"]] = field(factory=list, init=False)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: ARG002
        """Note what it says, and tell those who wait for it."""
        self.said += data.decode("utf-8", "replace")
        for words, heard in [each for each in self._waiting if each[0] in self.said]:
            self._waiting.remove((words, heard))
            heard.callback(None)

    def processExited(self, reason: Failure) -> None:
        """See C{IProcessProtocol.processExited}."""

    def processEnded(self, reason: Failure) -> None:
        """Note how it ended."""
        for _, heard in self._waiting:
            heard.errback(RuntimeError(f"it ended, having said only: {self.said}"))
        status = 0
        if isinstance(reason.value, ProcessTerminated):
            status = -reason.value.signal if reason.value.signal else reason.value.exitCode or 0
        else:
            reason.trap(ProcessDone)
        self.ended.callback(status)

    def when_said(self, words: str) -> "Deferred[None]":
        """Wait until it has said this."""
        heard: Deferred[None] = Deferred()
        if words in self.said:
            heard.callback(None)
        else:
            self._waiting.append((words, heard))
        return heard


def start(
    reactor: object, arguments: Sequence[str], environment: dict[str, str], runner: Sequence[str] = TWISTD
) -> Running:
    """Start C{twistd}, or another way to run the proxy, in this checkout."""
    running = Running()
    command = [sys.executable, *runner, *arguments]
    whole = {"PATH": os.environ["PATH"], "HOME": environment.get("HOME", "/nonexistent"), **environment}
    whole["PYTHONPATH"] = str(CHECKOUT)
    reactor.spawnProcess(running, sys.executable, command, env=whole)  # type: ignore[attr-defined]
    return running
