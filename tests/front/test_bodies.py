"""Tests for what L{registryproxy.front.channel} does with the bodies of requests."""

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.front.limits import LINGER_BYTES, LINGER_SECONDS, MAX_IGNORED_BODY_BYTES
from tests.support.caller import Caller, chunked, get


class BodyTests(SynchronousTestCase):
    """Bodies, which nobody takes."""

    def test_ignored(self) -> None:
        """A short body of a GET or HEAD is passed over, and the next request is found behind it."""
        for method in ("GET", "HEAD"):
            caller = Caller()
            first = get("/1", "Content-Length: 5", method=method) + b"GET /"
            second = get("/2", "Transfer-Encoding: chunked", method=method) + chunked(b"GET", b" /")
            caller.send(first + second + get("/3"))
            self.assertEqual(caller.hall.paths, [b"/1", b"/2", b"/3"])

    def test_ignored_at_the_limit(self) -> None:
        """A body as long as the limit is passed over."""
        body = b"x" * MAX_IGNORED_BODY_BYTES
        caller = Caller()
        caller.send(get("/1", f"Content-Length: {len(body)}") + body + get("/2"))
        self.assertEqual(caller.hall.paths, [b"/1", b"/2"])

    def assert_answered_early(self, caller: Caller, rest: bytes) -> None:
        """Assert that there is an answer already, the last one, and that nothing in the rest is read."""
        (answer,) = caller.heard()
        self.assertEqual((answer.status, answer.fields["connection"]), (200, "close"))
        self.assertTrue(caller.transport.disconnecting)
        caller.send(rest)
        self.assertEqual(len(caller.hall.asked), 1)
        self.assertEqual(len(caller.heard()), 1)

    def test_too_long_to_be_ignored(self) -> None:
        """A GET with a longer body is answered before the body comes, and is the last."""
        caller = Caller()
        caller.send(get("/1", f"Content-Length: {MAX_IGNORED_BODY_BYTES + 1}"))
        self.assert_answered_early(caller, b"x" * MAX_IGNORED_BODY_BYTES + b"x" + get("/2"))

    def test_chunked_too_long_to_be_ignored(self) -> None:
        """A body of unknown length is read up to the limit, and then the request is answered as its last."""
        caller = Caller()
        caller.send(get("/1", "Transfer-Encoding: chunked") + b"%x\r\n" % (MAX_IGNORED_BODY_BYTES + 1))
        caller.send(b"x" * (MAX_IGNORED_BODY_BYTES // 2))
        self.assertEqual(caller.heard(), [])
        caller.send(b"x" * (MAX_IGNORED_BODY_BYTES // 2))
        self.assert_answered_early(caller, b"xx\r\n0\r\n\r\n" + get("/2"))

    def test_writes(self) -> None:
        """A request that would write is answered before its body comes, however short that is."""
        for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
            for framing, rest in (
                ("Content-Length: 30", get("/smuggled")),
                ("Transfer-Encoding: chunked", chunked(b"abc") + get("/smuggled")),
            ):
                caller = Caller()
                caller.send(get("/1", framing, method=method) + rest[:7])
                self.assert_answered_early(caller, rest[7:])

    def test_writes_without_a_body(self) -> None:
        """A request that would write but brings no body leaves the connection as it is."""
        caller = Caller()
        caller.send(get("/1", "Content-Length: 0", method="POST") + get("/2", method="DELETE") + get("/3"))
        self.assertEqual(caller.hall.paths, [b"/1", b"/2", b"/3"])

    def test_nothing_is_kept(self) -> None:
        """Neither memory nor disk has any of a body."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/", "Content-Length: 99999999", method="PUT"))
        caller.send(b"x" * 100_000)
        content = caller.hall.asked[0].content
        self.assertEqual((content and content.read(), caller.channel._dataBuffer), (b"", []))

    def test_answered_late(self) -> None:
        """What of a body arrives until its request is answered is dropped as well."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/1", "Content-Length: 1000", method="PUT"))
        caller.send(b"x" * 999 + b"x" + get("/smuggled"))
        caller.hall.asked[0].finish()
        self.assert_answered_early(caller, get("/smuggled"))

    def test_continue(self) -> None:
        """A client that waits before it sends is told to go on when its body is to be passed over."""
        caller = Caller()
        caller.send(get("/", "Content-Length: 1", "Expect: 100-Continue"))
        self.assertEqual(caller.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual([each.status for each in caller.ask(b"x")], [200])

    def test_do_not_continue(self) -> None:
        """It is not, when its body is refused, or when there is none."""
        for request in (
            get("/", "Content-Length: 1", "Expect: 100-continue", method="PUT"),
            get("/", "Content-Length: 99999", "Expect: 100-continue"),
            get("/", "Expect: 100-continue"),
        ):
            caller = Caller()
            caller.send(request)
            self.assertTrue(caller.transport.value().startswith(b"HTTP/1.1 200 "), request)

    def test_lingers(self) -> None:
        """A client that sends on may read its answer for some seconds, then the connection is aborted."""
        caller = Caller()
        caller.send(get("/", "Content-Length: 99999", method="PUT"))
        caller.clock.advance(LINGER_SECONDS - 1)
        caller.send(b"x")
        self.assertFalse(caller.transport.disconnected)
        caller.clock.advance(1)
        self.assertTrue(caller.transport.disconnected)

    def test_drops_so_much(self) -> None:
        """When a client sends too much that nobody takes, it is no longer read from."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/", f"Content-Length: {10**12}", method="PUT"))
        piece = b"x" * 2**20
        for _ in range(LINGER_BYTES // len(piece)):
            caller.send(piece)
        self.assertEqual(caller.transport.producerState, "producing")
        caller.send(b"x")
        self.assertEqual(caller.transport.producerState, "paused")

    @given(lists(integers(1, 60), max_size=30))
    def test_however_it_is_cut(self, cuts: list[int]) -> None:
        """However the network cuts a stream of requests, the same requests are read from it."""
        stream = (
            get("/1", "Content-Length: 5")
            + b"GET /"
            + get("/2", "Transfer-Encoding: chunked")
            + chunked(b"GET /", b"x")
            + get("/3")
            + get("/4", "Content-Length: 40", method="PUT")
            + get("/smuggled")
            + get("/smuggled")
        )
        caller = Caller()
        for cut in cuts:
            caller.send(stream[:cut])
            stream = stream[cut:]
        caller.send(stream)
        self.assertEqual(caller.hall.paths, [b"/1", b"/2", b"/3", b"/4"])
        self.assertEqual([each.status for each in caller.heard()], [200] * 4)
