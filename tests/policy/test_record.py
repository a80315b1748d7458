"""Tests of L{registryproxy.policy.record}."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.policy.record import RequestRecord, timestamp

KEYS = (
    "time client user method registry repository reference digest kind result status bytes milliseconds"
    " upstream_milliseconds request_id"
)
PULL = RequestRecord(
    time=1795464000.123,
    client="10.0.0.7",
    method="GET",
    registry="quay.io:443",
    repository="team/app",
    reference="1.2.3",
    digest="sha256:" + "0" * 64,
    kind="manifest",
    result="hit",
    status=200,
    bytes=1234,
    milliseconds=3.14159,
    upstream_milliseconds=0.0,
    request_id="k7",
)
TEXTS = st.text() | st.text(" \n\r\t\0\x1b\x85\u2028\"'\\-?=", max_size=8)
RECORDS = st.builds(
    RequestRecord,
    time=st.floats(0, 4e9),
    client=TEXTS,
    user=TEXTS,
    method=TEXTS,
    registry=TEXTS,
    repository=TEXTS,
    reference=TEXTS,
    digest=TEXTS,
    kind=TEXTS,
    result=TEXTS,
    status=st.integers(0, 599),
    bytes=st.integers(0),
    milliseconds=st.floats(0, 1e9),
    upstream_milliseconds=st.floats(0, 1e9),
    request_id=TEXTS,
)


class RecordTests(SynchronousTestCase):
    """L{RequestRecord}."""

    def test_json_has_the_words_of_the_design(self) -> None:
        """An object of exactly these keys, in this order."""
        self.assertEqual(" ".join(PULL.as_json()), KEYS)
        self.assertEqual(PULL.as_json()["time"], "2026-11-23T20:00:00.123Z")
        self.assertEqual(PULL.as_json()["milliseconds"], 3.1)

    def test_text_is_one_readable_line(self) -> None:
        """Who asked for what, how it went, and in numbers; what is empty is a dash."""
        self.assertEqual(
            PULL.as_text(),
            f"2026-11-23T20:00:00.123Z 10.0.0.7 - GET quay.io:443 team/app 1.2.3 sha256:{'0' * 64} manifest hit 200"
            " bytes=1234 ms=3.1 upstream_ms=0.0 id=k7",
        )

    def test_a_client_of_ipv4_is_told_as_such(self) -> None:
        """A socket that takes both sees IPv4 as mapped into IPv6, which nobody would look for."""
        clients = [
            RequestRecord(time=0, client=each, method="GET", kind="ping", result="hit", status=200).client
            for each in ("::ffff:192.0.2.1", "2001:db8::1", "192.0.2.1", "")
        ]
        self.assertEqual(clients, ["192.0.2.1", "2001:db8::1", "192.0.2.1", ""])

    def test_no_query_is_told(self) -> None:
        """Signatures live in queries; should one come along, it is cut off."""
        record = RequestRecord(
            time=0,
            client="10.0.0.7",
            method="GET",
            repository="token?scope=x",
            reference="1.2.3?X-Amz-Signature=hunter2",
            kind="other",
            result="passed",
            status=200,
        )
        self.assertEqual((record.repository, record.reference), ("token", "1.2.3"))

    def test_what_a_client_makes_up_is_cut(self) -> None:
        """A method of a megabyte makes no line of a megabyte."""
        record = RequestRecord(
            time=0, client="10.0.0.7", method="X" * 10**6, kind="other", result="refused", status=405
        )
        self.assertLess(len(record.as_text()), 1000)
        self.assertLess(len(json.dumps(record.as_json())), 1000)

    def test_a_dash_is_not_nothing(self) -> None:
        """A client who calls a tag C{-} is told from one who asked for none."""
        dash = RequestRecord(
            time=0, client="", method="GET", reference="-", kind="ping", result="hit", status=200
        )
        self.assertIn(r" GET - - \x2d - ping ", dash.as_text())

    @given(RECORDS)
    def test_no_client_writes_lines_of_its_own(self, record: RequestRecord) -> None:
        """Whatever is in the fields, the line is one, of ASCII, and has fifteen words."""
        text = record.as_text()
        self.assertTrue(text.isascii())
        self.assertTrue(text.isprintable())
        self.assertEqual(len(text.split(" ")), len(KEYS.split()))
        self.assertNotIn('"', text)

    @given(RECORDS, RECORDS)
    def test_different_requests_are_different_lines(self, one: RequestRecord, other: RequestRecord) -> None:
        """Escaping makes no two requests look alike."""
        self.assertEqual(one.as_text() == other.as_text(), one.as_json() == other.as_json())

    @given(RECORDS)
    def test_json_round_trips(self, record: RequestRecord) -> None:
        """What is written as JSON is read as the same object, on one line."""
        line = json.dumps(record.as_json())
        self.assertEqual(json.loads(line), record.as_json())
        self.assertEqual(len(line.splitlines()), 1)

    def test_times_are_utc_to_the_millisecond(self) -> None:
        """The epoch, and a moment after it."""
        self.assertEqual(timestamp(0), "1970-01-01T00:00:00.000Z")
        self.assertEqual(timestamp(1.5), "1970-01-01T00:00:01.500Z")
