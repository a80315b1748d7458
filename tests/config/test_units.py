"""Tests of L{registryproxy.config.units}."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config.units import Unreadable, parse_size, parse_time, size_text, time_text

DIGITS_AND_UNITS = st.text("0123456789kKmMgGyYwdhs .-+e²", max_size=24)


class SizeTests(SynchronousTestCase):
    """L{parse_size} reads what nginx takes for a size."""

    def test_units_are_powers_of_1024(self) -> None:
        """k, m and g are 2 to the 10, 20 and 30, in either case; a bare number is bytes."""
        read = {text: parse_size(text) for text in ("1024", "8k", "8K", "500m", "32g", "32G", "0", "007")}
        self.assertEqual(
            read,
            {
                "1024": 1024,
                "8k": 8192,
                "8K": 8192,
                "500m": 500 * 2**20,
                "32g": 32 * 2**30,
                "32G": 32 * 2**30,
                "0": 0,
                "007": 7,
            },
        )

    def test_what_is_no_size_is_told_so(self) -> None:
        """Fractions, signs, other units, spaces between and nothing at all are refused in a sentence."""
        for text in ("32q", "", "1.5g", "-1", "+1", "1 g", "1gb", "g", "²"):
            with self.assertRaises(Unreadable) as caught:
                parse_size(text)
            self.assertEqual(str(caught.exception), f"{text!r} is not a size")

    def test_the_largest_size_fits_an_offset(self) -> None:
        """A size is at most what a file's offset can be, and a byte more is refused."""
        self.assertEqual(parse_size(str(2**63 - 1)), 2**63 - 1)
        for text in (str(2**63), f"{2**33}g", "9" * 5000):
            self.assertRaises(Unreadable, parse_size, text)

    @given(st.text() | DIGITS_AND_UNITS)
    @example("9" * 5000 + "g")
    def test_any_text_is_a_size_or_refused(self, text: str) -> None:
        """Whatever the text, there is a size of it, or L{Unreadable}."""
        try:
            size = parse_size(text)
        except Unreadable:
            return
        self.assertTrue(0 <= size < 2**63)

    @given(st.integers(0, 2**63 - 1))
    def test_what_is_written_is_read_again(self, size: int) -> None:
        """Writing a size and reading it changes nothing."""
        self.assertEqual(parse_size(size_text(size)), size)


class TimeTests(SynchronousTestCase):
    """L{parse_time} reads what nginx takes for a time."""

    def test_units_are_those_of_nginx(self) -> None:
        """M is a month of 30 days and m a minute, y is a year of 365 days, a bare number is seconds."""
        self.assertEqual(parse_time("300"), 300)
        self.assertEqual(parse_time("500ms"), 0.5)
        self.assertEqual(parse_time("60s"), 60)
        self.assertEqual(parse_time("10m"), 600)
        self.assertEqual(parse_time("1h 30m"), 5400)
        self.assertEqual(parse_time("1h30m"), 5400)
        self.assertEqual(parse_time("1m30"), 90)
        self.assertEqual(parse_time("60d"), 60 * 86400)
        self.assertEqual(parse_time("2w"), 14 * 86400)
        self.assertEqual(parse_time("1M"), 30 * 86400)
        self.assertEqual(parse_time("1y"), 365 * 86400)
        self.assertEqual(parse_time("1y 1M 1w 1d 1h 1m 1s 1ms"), (365 + 30 + 7 + 1) * 86400 + 3661.001)

    def test_what_is_no_time_is_told_so(self) -> None:
        """Units out of order or twice, unknown ones, signs, fractions and nothing at all are refused."""
        for text in ("", " ", "soon", "30m 1h", "1h 1h", "1.5h", "-1s", "10 m", "1D", "5 6", "ms"):
            with self.assertRaises(Unreadable) as caught:
                parse_time(text)
            self.assertEqual(str(caught.exception), f"{text!r} is not a time")

    def test_a_time_ends_after_a_thousand_years(self) -> None:
        """A thousand years are a time, and a second more is not."""
        self.assertEqual(parse_time("1000y"), 1000 * 365 * 86400)
        for text in ("1000y 1s", "9" * 5000):
            self.assertRaises(Unreadable, parse_time, text)

    @given(st.text() | DIGITS_AND_UNITS)
    def test_any_text_is_a_time_or_refused(self, text: str) -> None:
        """Whatever the text, there is a time of it, or L{Unreadable}."""
        try:
            seconds = parse_time(text)
        except Unreadable:
            return
        self.assertTrue(seconds >= 0)

    @given(st.integers(0, 10**13).map(lambda milliseconds: milliseconds / 1000))
    def test_what_is_written_is_read_again(self, seconds: float) -> None:
        """Writing a time and reading it changes nothing, down to the millisecond."""
        self.assertEqual(parse_time(time_text(seconds)), seconds)

    def test_times_are_written_as_the_defaults_are(self) -> None:
        """The seed's defaults come out as they went in."""
        for text in ("60s", "300s", "10m", "1h", "60d", "500ms", "0s"):
            self.assertEqual(time_text(parse_time(text)), text)
