"""Tests of L{registryproxy.logs}."""

import json
import os
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from registryproxy.logs import LineObserver, LogFormat, open_stream, redact
from registryproxy.policy.record import RequestRecord

RECORD = RequestRecord(
    time=0, client="10.0.0.7", method="GET", registry="quay.io:443", kind="ping", result="hit", status=200
)
SECRETS = st.text("abcXYZ012_-.~", min_size=6, max_size=20).map(lambda text: f"hunter2{text}")


class Terminal(StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """Tell that it is one."""
        return True


class Unwritable(StringIO):
    """A stream on a full disk."""

    def write(self, _data: str, /) -> int:
        """Fail."""
        raise OSError(28, "No space left on device")


class Unspeakable:
    """An object that cannot be written down."""

    def __str__(self) -> str:
        """Fail."""
        raise ZeroDivisionError


def fail(message: str) -> None:
    """Be a bug."""
    raise ValueError(message)


class ObserverTestCase(SynchronousTestCase):
    """A log that is written to memory."""

    def setUp(self) -> None:
        """Log JSON to one stream and text to another."""
        self.json, self.text = StringIO(), StringIO()
        publisher = LogPublisher(LineObserver.of(self.json, "json"), LineObserver.of(self.text, "text"))
        self.publisher = publisher
        self.log = Logger(namespace="registryproxy.pull", observer=publisher)

    def objects(self) -> list[dict[str, Any]]:
        """Tell what was written as JSON, one object a line."""
        return [json.loads(line) for line in self.json.getvalue().splitlines()]

    def lines(self) -> list[str]:
        """Tell what was written as text, without the times."""
        return [line.partition("Z ")[2] or line for line in self.text.getvalue().splitlines()]


class RequestTests(ObserverTestCase):
    """Events that carry the record of a request."""

    def test_a_request_is_its_record(self) -> None:
        """In JSON it is an object of the record's fields, in text the record's line; nothing is added."""
        self.log.info("{record}", record=RECORD, authorization="Bearer hunter2")
        self.assertEqual(self.objects(), [RECORD.as_json()])
        self.assertEqual(self.text.getvalue(), RECORD.as_text() + "\n")


class EventTests(ObserverTestCase):
    """All other events."""

    def test_an_event_has_time_level_logger_and_message(self) -> None:
        """And no other keyword, whatever it holds."""
        self.log.warn("{registry} is slow", registry="quay.io", authorization="Bearer hunter2")  # noqa: G010
        (told,) = self.objects()
        self.assertRegex(told.pop("time"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual(
            told, {"level": "warn", "logger": "registryproxy.pull", "message": "quay.io is slow"}
        )
        self.assertEqual(self.lines(), ["WARN [registryproxy.pull] quay.io is slow"])

    def test_a_failure_has_its_traceback(self) -> None:
        """A bug is told with where it is, and in text so indented that it passes for no line of the log's own."""
        try:
            fail("one\ntwo Authorization: Bearer hunter2")
        except ValueError:
            self.log.failure("a bug")
        (told,) = self.objects()
        self.assertEqual((told["level"], told["message"]), ("critical", "a bug"))
        self.assertIn("test_logs.py", told["traceback"])
        self.assertNotIn("hunter2", self.json.getvalue() + self.text.getvalue())
        head, *rest = self.lines()
        self.assertEqual(head, "CRITICAL [registryproxy.pull] a bug")
        self.assertTrue(rest)
        self.assertEqual([line for line in rest if not line.startswith("    ")], [])

    def test_no_message_makes_lines_of_its_own(self) -> None:
        """Line ends, escape sequences and what a terminal may not have are escaped."""
        self.log.info("{name}", name="a\n2026 INFO b\r\x1b[31m\u2028\udcff")
        self.assertEqual(self.lines(), [r"INFO [registryproxy.pull] a\n2026 INFO b\r\x1b[31m\u2028\udcff"])
        self.assertEqual(len(self.objects()), 1)

    def test_debug_is_left_out(self) -> None:
        """Steps are for those who take the house apart."""
        self.log.debug("a step")
        self.assertEqual(self.json.getvalue() + self.text.getvalue(), "")

    def test_chatter_is_left_out(self) -> None:
        """What Twisted says of each connection is dropped, unless it is a warning."""
        for namespace in (
            "twisted.web.http.HTTPChannel",
            "twisted.internet.endpoints",
            "twisted.protocols.tls",
        ):
            chatterer = Logger(namespace=namespace, observer=self.publisher)
            chatterer.info("something happened to {peer}", peer="10.0.0.7")
            chatterer.warn("something bad happened")
        self.log.info("Starting factory {factory!r}", factory=Factory())
        self.log.info("Timing out client: {peer}", peer="10.0.0.7")
        self.assertEqual([told["level"] for told in self.objects()], ["warn"] * 3)

    def test_legacy_events_are_told_when_they_are_bad(self) -> None:
        """What is logged in Twisted's old way is told if it is a failure; ports that open and close are not."""
        publisher = legacy.LogPublisher(publishPublisher=self.publisher)
        publisher.msg("Site starting on", 3128)
        publisher.msg("it broke", isError=1)
        self.assertEqual([told["message"] for told in self.objects()], ["it broke"])

    def test_secrets_in_messages_are_masked(self) -> None:
        """Should somebody log a signed URL, its query is not told."""
        self.log.info("fetched {url}", url="https://cdn.example.com/blob?X-Amz-Signature=hunter2")
        self.assertEqual(self.objects()[0]["message"], "fetched https://cdn.example.com/blob?****")


class BrokenTests(ObserverTestCase):
    """Events and streams that do not work."""

    def test_a_broken_event_tells_no_keywords(self) -> None:
        """One that cannot be formatted is told by its template alone."""
        self.log.info("{missing}", authorization="Bearer hunter2")
        self.log.info("{it}", it=Unspeakable(), authorization="Bearer hunter2")
        self.assertEqual(
            [told["message"] for told in self.objects()],
            ["an event that cannot be formatted: {missing}", "an event that cannot be formatted: {it}"],
        )
        self.assertNotIn("hunter2", self.text.getvalue())

    def test_nothing_raises(self) -> None:
        """Neither an event without anything, nor a full disk, disturbs who logs."""
        observer = LineObserver.of(self.json, "json")
        for event in ({}, {"log_time": "now"}, {"log_time": 0.0, "log_level": None}, {"log_failure": 3}):
            observer(event)
        LineObserver.of(Unwritable(), "json")({"log_time": 0.0, "log_level": LogLevel.info})

    @given(
        st.dictionaries(
            st.sampled_from(
                ["log_time", "log_level", "log_format", "log_namespace", "log_failure", "record"]
            ),
            st.none() | st.text() | st.floats() | st.binary() | st.just(Failure(ValueError())),
        )
    )
    def test_whatever_an_event_is_it_is_one_line_or_none(self, event: dict[str, Any]) -> None:
        """No event, however it is made, raises or breaks the lines."""
        stream = StringIO()
        LineObserver.of(stream, "json")(event)
        for line in stream.getvalue().splitlines():
            json.loads(line)


class FormatTests(SynchronousTestCase):
    """Which format is chosen."""

    def is_json(self, stream: StringIO, log_format: LogFormat) -> bool:
        """Tell how a stream would be written to."""
        return LineObserver.of(stream, log_format).is_json

    def test_a_person_reads_text_and_a_machine_json(self) -> None:
        """Unless the operator says otherwise."""
        self.assertEqual([self.is_json(each, "") for each in (Terminal(), StringIO())], [False, True])
        self.assertEqual([self.is_json(each, "json") for each in (Terminal(), StringIO())], [True, True])
        self.assertEqual([self.is_json(each, "text") for each in (Terminal(), StringIO())], [False, False])

    def test_it_is_an_observer(self) -> None:
        """It keeps what L{ILogObserver} promises."""
        verifyObject(ILogObserver, LineObserver.of(StringIO(), ""))


class StreamTests(SynchronousTestCase):
    """L{open_stream}: twistd's own rules."""

    def setUp(self) -> None:
        """Keep the signal handler of the process."""
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def test_who_stays_in_the_foreground_logs_to_stdout(self) -> None:
        """Without a file, or with a dash for one."""
        for name in (None, "", "-"):
            self.assertIs(open_stream({"logfile": name, "nodaemon": True}), sys.stdout)

    def test_a_daemon_has_no_stdout(self) -> None:
        """As with twistd's own log, that is refused."""
        with self.assertRaises(SystemExit) as caught:
            open_stream({"logfile": "-", "nodaemon": False})
        self.assertIn("a daemon has no stdout", str(caught.exception))

    def test_a_daemon_logs_to_a_file(self) -> None:
        """twistd.log is its name where none is given."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder)
        for name, expected in ((None, "twistd.log"), ("other.log", "other.log")):
            stream = open_stream({"logfile": name, "nodaemon": name is not None})
            LineObserver.of(stream, "")({"log_time": 0.0, "log_level": LogLevel.info, "log_format": "hello"})
            self.assertIn("hello", Path(expected).read_text())

    def test_a_line_is_there_at_once(self) -> None:
        """stdout is buffered where it is no terminal, and a container's log would lag behind by hours."""
        path = Path(self.mktemp())
        with path.open("w") as stream:
            LineObserver.of(stream, "")({"log_time": 0.0, "log_level": LogLevel.info, "log_format": "hello"})
            self.assertIn("hello", path.read_text())

    def test_sigusr1_begins_a_new_file(self) -> None:
        """The next line goes to a fresh file, what was there is kept beside it."""
        path = Path(self.mktemp())
        stream = open_stream({"logfile": str(path), "nodaemon": True})
        stream.write("old\n")
        os.kill(os.getpid(), signal.SIGUSR1)
        stream.write("new\n")
        self.assertEqual(path.read_text(), "new\n")
        self.assertEqual(path.with_name(path.name + ".1").read_text(), "old\n")

    def test_a_handler_of_others_is_left_alone(self) -> None:
        """Whoever handles SIGUSR1 already goes on to do so."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        open_stream({"logfile": self.mktemp(), "nodaemon": True})
        self.assertEqual(signal.getsignal(signal.SIGUSR1), signal.SIG_IGN)


class RedactTests(SynchronousTestCase):
    """L{redact}."""

    def test_what_is_not_secret_stays(self) -> None:
        """Most messages are told as they are."""
        for text in (
            "kept sha256:0123456789 (1234 bytes)",
            "quay.io did not answer: what now? a=b",
            "LISTEN: 'tpc:3' is not an endpoint",
            "GET https://quay.io/v2/team/app/manifests/1.2.3",
            "Site starting on 3128",
        ):
            self.assertEqual(redact(text), text)

    def test_the_rest_of_the_message_stays(self) -> None:
        """Only the secret is masked."""
        self.assertEqual(
            redact(
                "GET https://a:b@cdn.example.com/x?sig=1&se=2 failed: Authorization: Bearer abc.def, retried"
            ),
            "GET https://****@cdn.example.com/x?**** failed: Authorization: Bearer ****, retried",
        )

    @given(
        SECRETS,
        st.sampled_from(
            [
                "Authorization: Bearer {}",
                "authorization: basic {}",
                "{{'Authorization': 'Bearer {}'}}",
                "b'Proxy-Authorization': b'Basic {}'",
                "sent Bearer {} to quay.io",
                "token={}",
                '{{"token": "{}", "access_token":"{}"}}',
                "/v2/x?a=b&X-Amz-Signature={}&c=d",
                "https://cdn.example.com/blob?sig={}",
                "https://cdn.example.com/blob?Key-Pair-Id=1&Policy={}~&Signature={}",
                "http://user:{}@proxy.example.com:3128 refused",
                "https://{}@github.example.com/",
                "password = {}",
                "X-Amz-Security-Token: {}",
                "client_secret={}&refresh_token={}",
            ]
        ),
        st.text("ab :=?&/\n", max_size=6),
    )
    def test_secrets_are_masked(self, secret: str, template: str, around: str) -> None:
        """Whatever surrounds it, what looks like a secret is not told."""
        redacted = redact(f"{around} {template.replace('{}', secret)} {around}".replace("{{", "{"))
        self.assertNotIn("hunter2", redacted)

    @given(st.text() | st.text("Bearer token=?&:/@ ", max_size=40))
    def test_twice_is_once(self, text: str) -> None:
        """What is redacted already is left alone."""
        self.assertEqual(redact(redact(text)), redact(text))
