"""Spans: which bytes of a blob a client asks for."""

import re

from attrs import frozen

from registryproxy.errors import RangeNotSatisfiable
from registryproxy.oci.digest import Digest
from registryproxy.wire.headers import Fields

_UNIT_AND_SET = re.compile(r"[ \t]*bytes=(?P<specs>[^\r\n]*)", re.IGNORECASE)
_SPEC = re.compile(r"(?P<first>[0-9]*)-(?P<last>[0-9]*)")
# More digits than any file has; int() refuses thousands of them, and is slow on hundreds.
_MAX_DIGITS = 19
# A client that wants more pieces than this is served the whole: many tiny ranges cost us more than one body.
MAX_SPANS = 32


@frozen
class Span:
    """
    Bytes C{start} (inclusive) to C{stop} (exclusive).

    @ivar start: not negative.
    @ivar stop: above C{start} for what a C{Range} asks for.
    """

    start: int
    stop: int

    def __len__(self) -> int:
        """Count the bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """
        Write the C{Content-Range} of a 206 answer.

        @param size: bytes of the whole.
        @see: RFC 9110, section 14.4.
        """
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def etag_of(digest: Digest) -> str:
    """Write the strong entity tag of content: its digest, quoted."""
    return f'"{digest}"'


def wanted(fields: Fields, size: int, etag: str) -> Span | None:
    """
    Tell which one span a GET asks for; nothing, when the whole is to be given with status 200.

    A client that names several spans is given the whole, which is its right answer from a server that makes no
    C{multipart/byteranges}.

    @param size: bytes of the whole.
    @param etag: the strong entity tag of what we have, as L{etag_of} writes it.
    @raise RangeNotSatisfiable: if all that is asked for lies past the end.
    @see: RFC 9110, sections 13.1.5 and 14.2.
    """
    ranges = fields.all("range")
    conditions = fields.all("if-range")
    # A date never matches, for we tell none; a weak tag must not, for only bytes that are equal may be joined.
    if len(ranges) != 1 or any(condition.strip() != etag for condition in conditions):
        return None
    spans = parse_range(ranges[0], size)
    return spans[0] if spans is not None and len(spans) == 1 else None


def parse_range(text: str, size: int) -> tuple[Span, ...] | None:
    """
    Read a C{Range} field against content of a known size.

    @param size: bytes of the whole, not negative.
    @return: the spans that can be given, at least one, in the order in which they were asked for, each within
        the content; or nothing, where the field is to be ignored: it is malformed, its unit is not bytes, it has
        more than L{MAX_SPANS}, or it asks for all of empty content.
    @raise RangeNotSatisfiable: if it is well formed and all of it lies past the end.
    @see: RFC 9110, sections 14.1.1 and 14.1.2.
    """
    match = _UNIT_AND_SET.fullmatch(text)
    if match is None:
        return None
    # Empty members of a list are to be skipped: RFC 9110, section 5.6.1.2.
    specs = [spec for each in match["specs"].split(",") if (spec := each.strip(" \t"))]
    if not 0 < len(specs) <= MAX_SPANS:
        return None
    spans = []
    for spec in specs:
        read = _SPEC.fullmatch(spec)
        if read is None or spec == "-" or _is_backwards(read["first"], read["last"]):
            return None
        spans.append(_resolve(read["first"], read["last"], size))
    given = tuple(span for span in spans if len(span))
    if given:
        return given
    # Clients that resume ask for bytes=0- of what may be empty; 416 would fail a pull that 200 completes.
    if size == 0 and any(span.start == 0 for span in spans):
        return None
    raise RangeNotSatisfiable(size)


def _is_backwards(first: str, last: str) -> bool:
    if not (first and last):
        return False
    low, high = first.lstrip("0"), last.lstrip("0")
    return (len(high), high) < (len(low), low)  # as numbers, however long


def _resolve(first: str, last: str, size: int) -> Span:
    """Turn a well-formed range into a span of C{size} bytes; one that cannot be given is empty."""
    if not first:
        suffix = min(_number(last), size)
        # "-0" names no byte: not even of empty content is it "all".
        return Span(size - suffix, size) if _number(last) else Span(size + 1, size + 1)
    start = _number(first)
    if start >= size:
        return Span(start, start)
    return Span(start, min(_number(last) + 1, size) if last else size)


def _number(digits: str) -> int:
    stripped = digits.lstrip("0")
    return int(stripped or "0") if len(stripped) <= _MAX_DIGITS else 10**_MAX_DIGITS
