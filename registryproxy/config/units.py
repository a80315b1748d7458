"""Sizes and times as nginx writes them: C{32g}, C{1h 30m}."""

import re


class Unreadable(ValueError):
    """
    A text is not what it should be.

    The text and its fault are kept apart, for a secret's text must not be told.

    @ivar text: what could not be read.
    @ivar fault: the rest of a sentence that begins with C{text}.
    """

    def __init__(self, text: str, fault: str) -> None:
        """Say that C{text} has a C{fault}, such as C{"is not a size"}."""
        super().__init__(f"{shown(text)} {fault}")
        self.text = text
        self.fault = fault


_MAX_SHOWN = 100


def shown(text: str) -> str:
    """Write a text as a message shows it: quoted, escaped, and cut where it is long."""
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "...")


_SIZE = re.compile(r"(?P<number>[0-9]+)(?P<unit>[kKmMgG]?)")
_SIZES = {"g": 1024**3, "m": 1024**2, "k": 1024, "": 1}
_MAX_SIZE = 2**63 - 1


def parse_size(text: str) -> int:
    """
    Read a size in bytes: a number, and perhaps one of k, m, g in either case.

    @raise Unreadable: if it is anything else.
    @see: U{nginx, "Configuration file measurement units"<https://nginx.org/en/docs/syntax.html>}.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Unreadable(text, "is not a size")
    # A number of thousands of digits is refused before int() would.
    digits = match["number"].lstrip("0")
    size = int(digits or "0") * _SIZES[match["unit"].lower()] if len(digits) <= len(str(_MAX_SIZE)) else None
    if size is None or size > _MAX_SIZE:
        raise Unreadable(text, "is too large a size")
    return size


def size_text(size: int) -> str:
    """Write a size with the largest unit that leaves no fraction."""
    unit = next(unit for unit, factor in _SIZES.items() if size % factor == 0 and (size or not unit))
    return f"{size // _SIZES[unit]}{unit}"


# In milliseconds, the largest first, which is also the order in which nginx lets them follow each other.
_TIMES = {
    "y": 365 * 86_400_000,
    "M": 30 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_TIME = re.compile(
    r"""
    (?: (?P<y>[0-9]+) y [ ]* )?
    (?: (?P<M>[0-9]+) M [ ]* )?
    (?: (?P<w>[0-9]+) w [ ]* )?
    (?: (?P<d>[0-9]+) d [ ]* )?
    (?: (?P<h>[0-9]+) h [ ]* )?
    (?: (?P<m>[0-9]+) m [ ]* )?
    (?: (?P<s>[0-9]+) (?: s | (?![0-9]) ) [ ]* )?
    (?: (?P<ms>[0-9]+) ms )?
    """,
    re.VERBOSE,
)
_MAX_TIME = 1000 * _TIMES["y"]


def parse_time(text: str) -> float:
    """
    Read a time in seconds: numbers with units from the largest to the smallest, the last one seconds if bare.

    @raise Unreadable: if it is anything else, or more than a thousand years.
    @see: U{nginx, "Configuration file measurement units"<https://nginx.org/en/docs/syntax.html>}.
    """
    stripped = text.strip()
    match = _TIME.fullmatch(stripped)
    if match is None or not stripped:
        raise Unreadable(text, "is not a time")
    parts = {unit: digits.lstrip("0") or "0" for unit, digits in match.groupdict().items() if digits}
    if any(len(digits) > len(str(_MAX_TIME)) for digits in parts.values()):
        raise Unreadable(text, "is too long a time")
    milliseconds = sum(int(digits) * _TIMES[unit] for unit, digits in parts.items())
    if milliseconds > _MAX_TIME:
        raise Unreadable(text, "is too long a time")
    return milliseconds / 1000


_IN_SECONDS_BELOW = 10 * _TIMES["m"]


def time_text(seconds: float) -> str:
    """Write a time as the defaults are written: C{60d}, C{1h}, C{10m}, below that C{300s}, C{500ms}."""
    milliseconds = round(seconds * 1000)
    units = ("s", "ms") if milliseconds < _IN_SECONDS_BELOW else ("d", "h", "m", "s", "ms")
    unit = next(unit for unit in units if milliseconds % _TIMES[unit] == 0)
    return f"{milliseconds // _TIMES[unit]}{unit}"
