"""Tests for L{registryproxy.front.channel}: limits, grammar and patience."""

from typing import ClassVar

from hypothesis import given
from hypothesis.strategies import binary, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.front.limits import LINGER_SECONDS, MAX_FIELDS, MAX_HEAD_BYTES, MAX_LINE_BYTES, Patience
from registryproxy.front.site import RegistrySite
from tests.support.caller import Answer, Caller, HalfClosing, get

PIECES = [
    *(b"GET / HTTP/1.1\r\n", b"HEAD /x HTTP/1.1\r\n", b"PUT http://a/ HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n"),
    *(b"Host: h\r\n", b"Connection: close\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b" folded\r\n",
        b"A: b\r\n",
        b"Host: h\r\n\r\n",
        b"\n",
        b"\r",
    ),
]
"""Of which heads and bodies are made, and near misses of both."""


class LimitTests(SynchronousTestCase):
    """How long a head may be."""

    def asked_with(self, *fields: str, path: str = "/") -> tuple[Answer, Caller]:
        """Ask with fields, and have the answer to the first request, though another rides behind it."""
        caller = Caller()
        return caller.ask(get(path, *fields) + get("/behind"))[0], caller

    def assert_too_large(self, answer: Answer, caller: Caller) -> None:
        """Assert that the client was told why, that it is recorded, and that nothing more is read."""
        self.assertEqual((answer.status, answer.fields["connection"]), (431, "close"))
        self.assertIn(b"than", answer.body)
        self.assertTrue(caller.transport.disconnecting)
        self.assertEqual(caller.hall.asked, [])
        self.assertEqual([(each.code, each.is_complete) for each in caller.reports], [(431, True)])

    def test_line_at_the_limit(self) -> None:
        """A field as long as the limit passes."""
        answer, _ = self.asked_with("A: " + "x" * (MAX_LINE_BYTES - 3))
        self.assertEqual(answer.status, 200)

    def test_line_beyond_the_limit(self) -> None:
        """A field one byte longer does not."""
        self.assert_too_large(*self.asked_with("A: " + "x" * (MAX_LINE_BYTES - 2)))

    def test_line_without_end(self) -> None:
        """A line is refused as soon as it is too long, not when it ends."""
        caller = Caller()
        (answer,) = caller.ask(b"GET /" + b"x" * MAX_LINE_BYTES)
        self.assert_too_large(answer, caller)

    def test_target_beyond_the_limit(self) -> None:
        """The limit holds for the request line, too."""
        answer, caller = self.asked_with(path="/" + "x" * MAX_LINE_BYTES)
        self.assert_too_large(answer, caller)

    def head(self, size: int) -> list[str]:
        """Make fields with which the head of L{get} has so many bytes."""
        left = size - len("GET / HTTP/1.1") - len("Host: h")
        lengths = [MAX_LINE_BYTES // 2] * (left // (MAX_LINE_BYTES // 2))
        lengths.append(left - sum(lengths))
        return ["A: " + "x" * (length - 3) for length in lengths if length > 3]

    def test_head_at_the_limit(self) -> None:
        """A head as long as the limit passes."""
        answer, _ = self.asked_with(*self.head(MAX_HEAD_BYTES))
        self.assertEqual(answer.status, 200)

    def test_head_beyond_the_limit(self) -> None:
        """A head one byte longer does not."""
        self.assert_too_large(*self.asked_with(*self.head(MAX_HEAD_BYTES + 1)))

    def test_fields_at_the_limit(self) -> None:
        """As many fields as the limit pass, Host being one."""
        answer, _ = self.asked_with(*["A: b"] * (MAX_FIELDS - 1))
        self.assertEqual(answer.status, 200)

    def test_fields_beyond_the_limit(self) -> None:
        """One field more does not."""
        self.assert_too_large(*self.asked_with(*["A: b"] * MAX_FIELDS))

    def test_each_head_anew(self) -> None:
        """The limits hold for each request, not for the connection."""
        fields = self.head(MAX_HEAD_BYTES)
        self.assertEqual([each.status for each in Caller().ask(get("/", *fields) * 3)], [200] * 3)


class MalformedTests(SynchronousTestCase):
    """Heads that are no heads."""

    def test_refused(self) -> None:
        """What does not follow the grammar gets a sentence and 400; what rides behind is not read."""
        for head in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\nA: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        ):
            transport = HalfClosing()
            caller = Caller(transport=transport)
            caller.send(head + get("/behind"))
            caller.send(get("/behind"))
            (answer,) = caller.heard()
            self.assertEqual((answer.status, answer.fields["connection"]), (400, "close"), head)
            self.assertEqual((caller.hall.asked, len(caller.reports)), ([], 1), head)
            self.assertEqual((transport.is_half_closed, transport.disconnecting), (True, False), head)
            caller.clock.advance(LINGER_SECONDS)
            self.assertTrue(transport.disconnected, head)

    @given(lists(sampled_from(PIECES) | binary(max_size=9), max_size=25))
    def test_total(self, pieces: list[bytes]) -> None:
        """Whatever comes, in whatever pieces, every answer is well formed, and nothing is raised or left behind."""
        caller = Caller(transport=HalfClosing())
        for piece in pieces:
            caller.send(piece)
        statuses = [each.status for each in caller.heard(*caller.methods)]
        self.assertLessEqual(set(statuses), {200, 400, 431})
        self.assertEqual(len(statuses), len(caller.reports))
        caller.clock.advance(1000)
        caller.leave()
        self.assertEqual(caller.clock.getDelayedCalls(), [])

    def test_one_empty_line_before(self) -> None:
        """An empty line before a request is passed over, as old clients send one."""
        self.assertEqual([each.status for each in Caller().ask(b"\r\n" + get("/"))], [200])


class TimeTests(SynchronousTestCase):
    """How long clients are waited for."""

    patience: ClassVar = Patience(head=60, body=30, idle=300, send=45)

    def caller(self) -> Caller:
        """Connect."""
        return Caller(patience=self.patience)

    def test_silent_from_the_start(self) -> None:
        """Who connects and says nothing is let go of without a word."""
        caller = self.caller()
        caller.clock.advance(59)
        self.assertFalse(caller.transport.disconnecting)
        caller.clock.advance(1)
        self.assertEqual((caller.transport.disconnecting, caller.transport.value()), (True, b""))

    def test_dripping_head(self) -> None:
        """Who sends a head a byte at a time has no more time than others, and is told."""
        caller = self.caller()
        for byte in get("/")[:6]:
            caller.send(bytes([byte]))
            caller.clock.advance(9)
        self.assertEqual(caller.heard(), [])
        caller.clock.advance(6)
        self.assertEqual([each.status for each in caller.heard()], [408])
        self.assertEqual([each.code for each in caller.reports], [408])

    def test_idle(self) -> None:
        """Between requests a client may be silent for longer, and is then let go of without a word."""
        caller = self.caller()
        heard = caller.ask(get("/"))
        caller.clock.advance(299)
        self.assertFalse(caller.transport.disconnecting)
        caller.clock.advance(1)
        self.assertTrue(caller.transport.disconnecting)
        self.assertEqual(caller.heard(), heard)

    def test_next_head(self) -> None:
        """The first byte of the next request begins the time for its head, whatever was left of the idle time."""
        caller = self.caller()
        caller.send(get("/"))
        caller.clock.advance(299)
        caller.send(b"G")
        caller.clock.advance(59)
        self.assertFalse(caller.transport.disconnecting)
        caller.clock.advance(1)
        self.assertEqual([each.status for each in caller.heard()], [200, 408])

    def test_next_head_behind(self) -> None:
        """A head that begins right behind a request that is answered at once has its time from there."""
        caller = self.caller()
        caller.send(get("/") + b"GET")
        caller.clock.advance(60)
        self.assertEqual([each.status for each in caller.heard()], [200, 408])

    def test_next_head_came_early(self) -> None:
        """A head that began while the last answer was made has its time from the end of that answer."""
        caller = self.caller()
        caller.hall.answers_at_once = False
        caller.send(get("/") + b"GET")
        caller.clock.advance(1000)
        caller.hall.asked[0].finish()
        caller.clock.advance(60)
        self.assertEqual([each.status for each in caller.heard()], [200, 408])

    def test_dripping_body(self) -> None:
        """Each piece of a body gives its sender new time."""
        caller = self.caller()
        caller.send(get("/", "Content-Length: 4"))
        for byte in b"abc":
            caller.clock.advance(29)
            caller.send(bytes([byte]))
        self.assertEqual(caller.heard(), [])
        caller.clock.advance(29)
        self.assertEqual([each.status for each in caller.ask(b"d")], [200])

    def test_body_that_stops(self) -> None:
        """A body that stops coming is given up."""
        caller = self.caller()
        caller.send(get("/", "Content-Length: 4") + b"abc")
        caller.clock.advance(30)
        self.assertEqual([each.status for each in caller.heard()], [408])
        self.assertEqual(caller.hall.asked, [])

    def test_no_time_while_answering(self) -> None:
        """While an answer is made nobody looks at the clock."""
        caller = self.caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        self.assertEqual(caller.clock.getDelayedCalls(), [])

    def test_does_not_go(self) -> None:
        """A client that does not read the last answer is aborted in the end."""
        caller = self.caller()
        caller.send(get("/", "Connection: close"))
        caller.clock.advance(44)
        self.assertFalse(caller.transport.disconnected)
        caller.clock.advance(1)
        self.assertTrue(caller.transport.disconnected)

    def test_no_timer_is_left(self) -> None:
        """In whatever state a connection is lost, no timer outlives it."""
        for sent in (
            b"",
            b"GET",
            get("/"),
            get("/", "Content-Length: 5"),
            get("/", "Connection: close"),
            get("/", "Content-Length: 5", method="POST"),
            b"nonsense\r\n",
        ):
            caller = self.caller()
            caller.send(sent)
            caller.leave()
            self.assertEqual(caller.clock.getDelayedCalls(), [], sent)


class WindDownTests(SynchronousTestCase):
    """Tests of what becomes of connections when the proxy is told to stop."""

    def site_of(self, caller: Caller) -> RegistrySite:
        """Tell whose channel it is."""
        assert isinstance(caller.channel.site, RegistrySite)
        return caller.channel.site

    def test_kept(self) -> None:
        """A connection that is only kept, or has asked nothing yet, is closed at once."""
        for sent in (b"", get("/")):
            caller = Caller()
            caller.send(sent)
            self.assertFalse(caller.transport.disconnecting)
            self.site_of(caller).wind_down()
            self.assertTrue(caller.transport.disconnecting)

    def test_answering(self) -> None:
        """One whose request is being answered is closed when it has been."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        self.site_of(caller).wind_down()
        self.assertFalse(caller.transport.disconnecting)
        caller.hall.asked[0].write(b"hello\n")
        caller.hall.asked[0].finish()
        self.assertTrue(caller.transport.disconnecting)
        self.assertEqual([answer.body for answer in caller.heard()], [b"hello\n"])

    def test_asking(self) -> None:
        """One in the middle of a head may finish it, and is answered."""
        caller = Caller()
        whole = get("/")
        caller.send(whole[:9])
        self.site_of(caller).wind_down()
        (answer,) = caller.ask(whole[9:])
        self.assertEqual(answer.status, 200)
