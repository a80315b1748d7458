"""The log: one line an event, text or JSON, chosen keys only, and nothing secret."""

import json
import re
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, Literal, Protocol

from attrs import frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.logfile import LogFile
from zope.interface import implementer

from registryproxy.policy.record import RequestRecord, timestamp

LogFormat = Literal["", "text", "json"]

_MASK = "****"
_WORD = r"[^\s\"'<>&,;]"
_REDACTIONS = (
    # user:password@ in a URL
    (re.compile(r"(?<=://)[^\s/?#@\"'<>]+@"), f"{_MASK}@"),
    # a query, wherever it hangs: signatures and tokens have too many names to know them all
    (re.compile(r"(?<=[\w/.%~-])\?(?=[^\s\"'<>]*=)[^\s\"'<>]+"), f"?{_MASK}"),
    (re.compile(rf"\b(Basic|Bearer|Digest|Negotiate)\s+{_WORD}+", re.IGNORECASE), rf"\1 {_MASK}"),
    (
        re.compile(
            r"\b([\w-]*(?:authorization|token|signature|password|passwd|secret|credential)[\w-]*[\"']?\s*[:=]\s*[\"']?)"
            rf"((?:Basic|Bearer|Digest|Negotiate)\s+)?{_WORD}+",
            re.IGNORECASE,
        ),
        rf"\1\2{_MASK}",
    ),
)


def redact(text: str) -> str:
    """
    Mask whatever looks like a secret: credentials, tokens, the queries of URLs.

    Nobody is meant to log such things; this is for what libraries say, and for mistakes.
    """
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


class Stream(Protocol):
    """What the log is written to: an open text file, or twistd's L{LogFile}."""

    def write(self, data: str, /) -> Any:
        """Append a text."""

    def flush(self) -> Any:
        """Let others see it."""


# What Twisted says of each connection, under the name of whichever class it concerns.
_CHATTER = ("Starting factory", "Stopping factory", "Timing out client", "Forcibly timing out client")
# Under "log_legacy": each port that opens or closes, which our own words say already.
_CHATTERERS = ("twisted.internet", "twisted.web", "twisted.protocols", "log_legacy")


def _is_worth_a_line(event: LogEvent) -> bool:
    level = event.get("log_level", LogLevel.info)
    if level >= LogLevel.warn:
        return True
    return (
        level != LogLevel.debug
        and not str(event.get("log_namespace", "")).startswith(_CHATTERERS)
        and not str(event.get("log_format", "")).startswith(_CHATTER)
    )


@implementer(ILogObserver)
@frozen
class LineObserver:
    """
    Write events that an operator cares for, a line each.

    @ivar is_json: whether the lines are JSON objects.
    """

    _stream: Stream
    is_json: bool

    @classmethod
    def of(cls, stream: Stream, log_format: LogFormat) -> "LineObserver":
        """Write in that format; an empty one is text on a terminal and JSON elsewhere."""
        isatty = getattr(stream, "isatty", None)
        is_terminal = isatty is not None and isatty()
        return cls(stream, is_json=log_format == "json" or (not log_format and not is_terminal))

    def __call__(self, event: LogEvent) -> None:
        """Write an event; one that cannot be written is none that anybody could be told of."""
        try:
            if _is_worth_a_line(event):
                self._stream.write(self._line(event) + "\n")
                self._stream.flush()
        except Exception:  # noqa: BLE001, S110  an observer that raises makes Twisted log that, to this observer
            pass

    def _line(self, event: LogEvent) -> str:
        record = event.get("record")
        if isinstance(record, RequestRecord):
            return json.dumps(record.as_json()) if self.is_json else record.as_text()
        told = _told(event)
        if self.is_json:
            return json.dumps(told)
        line = f"{told['time']} {told['level'].upper()} [{told['logger']}] {_escaped(told['message'])}"
        # Indented, so that nothing in it passes for a line of the log's own.
        rest = (f"\n    {_escaped(each)}" for each in told.get("traceback", "").splitlines())
        return line + "".join(rest)


def _told(event: LogEvent) -> dict[str, str]:
    """Choose what is told of an event that is no request: never its other keywords, whatever they hold."""
    told = {
        "time": timestamp(event["log_time"]),
        "level": event.get("log_level", LogLevel.info).name,
        "logger": str(event.get("log_namespace", "-")),
        "message": redact(_message(event)),
    }
    failure = event.get("log_failure")
    if failure is not None:
        told["traceback"] = redact(failure.getTraceback())
    return told


# What formatEvent() answers to an event that it cannot format goes on with every keyword there is.
_UNFORMATTABLE = "Unable to format event"


def _message(event: LogEvent) -> str:
    text = formatEvent(event)
    if text.startswith(_UNFORMATTABLE):
        return f"an event that cannot be formatted: {event.get('log_format')}"
    return text


def _escaped(text: str) -> str:
    """Keep a text on one line, and to what any terminal and any encoding takes."""
    return "".join(
        each if each.isascii() and each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text.rstrip("\n")
    )


class _RotatableLogFile(LogFile):
    """A file that begins anew when it has grown, as twistd's does, or when it was asked to."""

    _is_asked = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal, which may come in the middle of a write: the next write will see to it."""
        self._is_asked = True

    def shouldRotate(self) -> bool:
        asked, self._is_asked = self._is_asked, False
        return asked or bool(LogFile.shouldRotate(self))


def open_stream(twistd: Mapping[str, Any]) -> Stream:
    """
    Open what twistd itself would log to; SIGUSR1 makes a file begin anew with the next line.

    @param twistd: twistd's own options.
    @raise SystemExit: if a daemon is told to log to stdout, which it will not have.
    @see: C{twisted.scripts._twistd_unix.UnixAppLogger}.
    """
    name, stays = twistd.get("logfile"), twistd.get("nodaemon")
    if name == "-" and not stays:
        raise SystemExit("registryproxy: a daemon has no stdout to log to; add --nodaemon, or name a file")
    if name == "-" or (stays and not name):
        return sys.stdout
    log_file: _RotatableLogFile = _RotatableLogFile.fromFullPath(  # type: ignore[no-untyped-call]
        name or "twistd.log"
    )
    # As twistd does it: whoever ignores or handles the signal keeps his way.
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, log_file.ask)
    return log_file
