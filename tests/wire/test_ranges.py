"""Tests for L{registryproxy.wire.ranges}."""

import re

from hypothesis import example, given
from hypothesis.strategies import SearchStrategy, builds, integers, just, lists, one_of, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import RangeNotSatisfiable
from registryproxy.oci.digest import Digest
from registryproxy.wire.headers import Fields
from registryproxy.wire.ranges import MAX_SPANS, Span, etag_of, parse_range, wanted

REFUSED = "416"


def outcome(field: str, size: int) -> tuple[Span, ...] | str | None:
    """Read a field, with the refusal as a value."""
    try:
        return parse_range(field, size)
    except RangeNotSatisfiable as refusal:
        assert refusal.size == size
        return REFUSED


def slow_reference(field: str, content: bytes) -> list[bytes] | str | None:
    """Find the bytes that a field asks for by looking at each position, as the RFC's words have it."""
    unit, equals, members = field.lstrip(" \t").partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    specs = [member.strip(" \t") for member in members.split(",")]
    specs = [spec for spec in specs if spec]
    if not specs or len(specs) > MAX_SPANS:
        return None
    pieces = []
    asks_for_all = False
    for spec in specs:
        if re.fullmatch(r"-[0-9]+", spec):
            suffix = int(spec[1:])
            chosen = [at for at in range(len(content)) if at >= len(content) - suffix]
            asks_for_all |= suffix > 0
        elif re.fullmatch(r"[0-9]+-[0-9]*", spec):
            first, _, last = spec.partition("-")
            if last and int(last) < int(first):
                return None
            chosen = [at for at in range(len(content)) if int(first) <= at and (not last or at <= int(last))]
            asks_for_all |= int(first) == 0
        else:
            return None
        pieces.append(bytes(content[at] for at in chosen))
    if any(pieces):
        return [piece for piece in pieces if piece]
    return None if not content and asks_for_all else REFUSED


def specs() -> SearchStrategy[str]:
    """Make ranges, near misses of ranges, and what is none."""
    numbers = one_of(integers(0, 40).map(str), just("007"), just("9" * 25), just(""))
    return one_of(
        builds("{}-{}".format, numbers, numbers), sampled_from(["", " ", "5", "a-b", "-", "1-2-3", "+1-2"])
    )


def range_fields() -> SearchStrategy[str]:
    """Make fields of several ranges in the shapes that lists may have."""
    units = sampled_from(["bytes=", "Bytes=", " bytes=", "bytes =", "bytes", "items=", "=", ""])
    joints = sampled_from([",", ", ", " ,", ",,", "\t,"])
    return builds(
        lambda unit, joint, parts: unit + joint.join(parts), units, joints, lists(specs(), max_size=4)
    )


class ParseRangeTests(SynchronousTestCase):
    """Tests for L{parse_range}."""

    def test_single(self) -> None:
        """First and last position are both inclusive on the wire."""
        self.assertEqual(outcome("bytes=0-4", 10), (Span(0, 5),))

    def test_open_ended(self) -> None:
        """Without a last position the span goes to the end."""
        self.assertEqual(outcome("bytes=5-", 10), (Span(5, 10),))

    def test_suffix(self) -> None:
        """Without a first position the number counts from the end."""
        self.assertEqual(outcome("bytes=-3", 10), (Span(7, 10),))

    def test_suffix_beyond_the_beginning(self) -> None:
        """A suffix longer than the content is all of it."""
        self.assertEqual(outcome("bytes=-30", 10), (Span(0, 10),))

    def test_last_beyond_the_end(self) -> None:
        """A last position past the end means the end."""
        self.assertEqual(outcome("bytes=8-99", 10), (Span(8, 10),))

    def test_first_byte_past_the_end(self) -> None:
        """The last byte can be asked for, the one after it cannot."""
        self.assertEqual((outcome("bytes=9-", 10), outcome("bytes=10-", 10)), ((Span(9, 10),), REFUSED))

    def test_suffix_of_nothing(self) -> None:
        """A suffix of zero bytes cannot be given."""
        self.assertEqual((outcome("bytes=-0", 10), outcome("bytes=-0", 0)), (REFUSED, REFUSED))

    def test_empty_content(self) -> None:
        """Of empty content, all of it may be asked for in any way, but nothing that lies behind."""
        self.assertEqual(
            [outcome(f"bytes={spec}", 0) for spec in ("0-", "0-99", "-5", "1-")], [None, None, None, REFUSED]
        )

    def test_several(self) -> None:
        """Several ranges are told apart, in the order of the asking; those that cannot be given are left out."""
        self.assertEqual(outcome("bytes=5-6, 0-1,,-1,50-", 10), (Span(5, 7), Span(0, 2), Span(9, 10)))

    def test_at_most_so_many(self) -> None:
        """As many ranges as the limit are read; with one more the field is ignored."""
        many = ["1-2"] * MAX_SPANS
        self.assertEqual(outcome("bytes=" + ",".join(many), 10), (Span(1, 3),) * MAX_SPANS)
        self.assertIsNone(outcome("bytes=" + ",".join([*many, "1-2"]), 10))

    def test_ignored(self) -> None:
        """What is malformed, backwards or of another unit is ignored, as the RFC asks."""
        for field in (
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=4-2",
            "bytes=1-2,x",
            "lines=0-1",
        ):
            self.assertIsNone(outcome(field, 10), field)
        self.assertIsNone(outcome("bytes=\u0661-\u0662", 10))

    def test_numbers_of_any_length(self) -> None:
        """Numbers longer than Python cares to read are past every end, and still compare as numbers."""
        long, longer = "1" * 5000, "1" * 5001
        self.assertEqual(outcome(f"bytes=3-{long}", 10), (Span(3, 10),))
        self.assertEqual(outcome(f"bytes={long}-{longer}", 10), REFUSED)
        self.assertIsNone(outcome(f"bytes={longer}-{long}", 10))

    @given(text(), integers(0, 100))
    def test_total(self, field: str, size: int) -> None:
        """Any text is read, ignored, or refused."""
        outcome(field, size)

    @given(range_fields(), integers(0, 30))
    @example("bytes=0-,5-", 0)
    def test_within_the_content(self, field: str, size: int) -> None:
        """Whatever is given lies within the content and is not empty."""
        spans = outcome(field, size)
        if isinstance(spans, tuple):
            self.assertTrue(spans)
            for span in spans:
                self.assertTrue(0 <= span.start < span.stop <= size, span)

    @given(range_fields(), integers(0, 30))
    def test_agrees_with_the_slow_way(self, field: str, size: int) -> None:
        """The spans cut out just those bytes that the RFC's words name."""
        content = bytes(range(size))
        spans = outcome(field, size)
        cut = [content[span.start : span.stop] for span in spans] if isinstance(spans, tuple) else spans
        self.assertEqual(cut, slow_reference(field, content))


class WantedTests(SynchronousTestCase):
    """Tests for L{wanted}."""

    etag = etag_of(Digest.of(b"content"))

    def wanted(self, *lines: tuple[str, str]) -> Span | None:
        """Read the fields of a request for ten bytes."""
        return wanted(Fields(lines), 10, self.etag)

    def test_etag(self) -> None:
        """The entity tag of content is its digest, in quotes, and strong."""
        self.assertEqual(self.etag, f'"{Digest.of(b"content")}"')

    def test_no_range(self) -> None:
        """Without a range the whole is wanted."""
        self.assertIsNone(self.wanted(("Accept", "*/*")))

    def test_one_range(self) -> None:
        """One range is one span."""
        self.assertEqual(self.wanted(("Range", "bytes=2-3")), Span(2, 4))

    def test_several_ranges(self) -> None:
        """Several ranges, in one line or in two, are answered with the whole."""
        self.assertIsNone(self.wanted(("Range", "bytes=0-1,4-5")))
        self.assertIsNone(self.wanted(("Range", "bytes=0-1"), ("Range", "bytes=0-1")))

    def test_if_range_with_our_tag(self) -> None:
        """A condition that names what we have lets the range through."""
        self.assertEqual(self.wanted(("Range", "bytes=2-3"), ("If-Range", self.etag)), Span(2, 4))

    def test_if_range_with_anything_else(self) -> None:
        """Another tag, a weak one, an unquoted one and a date all mean: give me the whole."""
        for condition in (
            '"other"',
            f"W/{self.etag}",
            self.etag.strip('"'),
            "Tue, 15 Nov 1994 12:45:26 GMT",
            "",
        ):
            self.assertIsNone(self.wanted(("Range", "bytes=2-3"), ("If-Range", condition)), condition)

    def test_past_the_end(self) -> None:
        """What cannot be given is refused, with the size that there is."""
        refusal = self.assertRaises(RangeNotSatisfiable, self.wanted, ("Range", "bytes=10-"))
        self.assertEqual(refusal.size, 10)

    def test_past_the_end_of_something_else(self) -> None:
        """A range that is conditional on other content is not even looked at."""
        self.assertIsNone(self.wanted(("Range", "bytes=10-"), ("If-Range", '"other"')))


class SpanTests(SynchronousTestCase):
    """Tests for L{Span}."""

    def test_content_range(self) -> None:
        """The field names first and last position, both inclusive, and the size of the whole."""
        self.assertEqual(Span(2, 5).content_range(10), "bytes 2-4/10")

    def test_length(self) -> None:
        """A span is as long as the bytes it names."""
        self.assertEqual(len(Span(2, 5)), 3)
