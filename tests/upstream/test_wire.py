"""Tests for L{registryproxy.upstream.agent} and L{registryproxy.upstream.pool}: the very bytes on the wire."""

import string
from typing import Any
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis.strategies import characters, text
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed

from registryproxy.upstream.agent import VerbatimURL, make_agent
from registryproxy.upstream.pool import MAX_HEAD, MAX_LINE, HeadTooLong
from registryproxy.upstream.trust import UpstreamTrust
from tests.support.names import ReactorWithNames

VISIBLE = sorted(set(string.printable) - set(string.whitespace))
NAMES = {
    **dict.fromkeys(("one.test", "a_b.test", "CDN.test", "x-.test"), "192.0.2.1"),
    **{address: address for address in ("192.0.2.7", "::1", "2001:db8::1")},
}


class Transport(StringTransportWithDisconnection):
    """Remembers how it was closed."""

    is_aborted = False

    def abortConnection(self) -> None:
        """Be closed; of that, a socket tells its protocol only in the next turn."""
        self.is_aborted = True
        self.connected = False


class Wire:
    """A connection that the agent makes, in memory."""

    def __init__(self) -> None:
        """Build the agent."""
        self.memory: Any = MemoryReactorClock()
        reactor = ReactorWithNames.of(self.memory, NAMES)
        self.http = HTTPClient(make_agent(reactor, UpstreamTrust.of(None, lambda _: False), 10.0))
        self.transports: list[Transport] = []

    def ask(self, url: str, method: str = "GET") -> "Deferred[Any]":
        """Ask, and connect."""
        asking: Deferred[Any] = self.http.request(
            method, VerbatimURL.of(url), allow_redirects=False, unbuffered=True, reactor=self.memory
        )
        for _, _, factory, _, _ in self.memory.tcpClients[len(self.transports) :]:
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            transport = Transport()
            transport.protocol = protocol
            protocol.makeConnection(transport)
            self.transports.append(transport)
        return asking

    @property
    def sent(self) -> bytes:
        """What went out on the last connection."""
        sent: bytes = self.transports[-1].value()
        return sent

    def say(self, data: bytes) -> None:
        """Let the registry send bytes."""
        protocol: Any = self.transports[-1].protocol
        protocol.dataReceived(data)

    @property
    def dialled(self) -> tuple[str, int]:
        """What was connected to last."""
        host, port, *_ = self.memory.tcpClients[-1]
        return host, port


class RequestTests(SynchronousTestCase):
    """What goes out."""

    @given(text(VISIBLE, max_size=40))
    def test_verbatim(self, rest: str) -> None:
        """Whatever visible characters a path and query have, they are on the wire as they were written."""
        wire = Wire()
        wire.ask(f"http://one.test/{rest}")
        self.assertEqual(wire.sent.partition(b"\r\n")[0], f"GET /{rest} HTTP/1.1".encode())

    def test_verbatim_table(self) -> None:
        """Even those that Twisted, treq, hyperlink or urllib would tidy up."""
        for rest in (
            "?",
            "a;?b",
            "//a//b",
            "a/../b/./c",
            "%7e%7E~",
            "?a=%2f&&b=%zz",
            "?a/b?c",
            "a%2525",
            "?x=a+b%20c",
        ):
            wire = Wire()
            wire.ask(f"http://one.test/{rest}")
            self.assertEqual(wire.sent.partition(b"\r\n")[0], f"GET /{rest} HTTP/1.1".encode())

    @given(text(characters(max_codepoint=255), max_size=20))
    def test_one_request_whatever_is_in_it(self, rest: str) -> None:
        """What may not stand in a request line is percent-encoded, byte by byte: nothing breaks out of it."""
        wire = Wire()
        wire.ask(f"http://one.test/{rest}")
        line, _, fields = wire.sent.partition(b"\r\n")
        method, target, version = line.split(b" ")
        self.assertEqual((method, version), (b"GET", b"HTTP/1.1"))
        self.assertEqual(unquote_to_bytes(target), b"/" + unquote_to_bytes(rest.encode("latin-1")))
        self.assertTrue(fields.endswith(b"\r\n\r\n"))
        self.assertEqual(fields.count(b"Host:"), 1)

    def test_who_is_connected_to(self) -> None:
        """Names of every sort and addresses of both kinds are connected to, and named in C{Host}."""
        for authority, dialled in {
            "one.test": ("192.0.2.1", 80),
            "one.test:5000": ("192.0.2.1", 5000),
            "a_b.test": ("192.0.2.1", 80),
            "x-.test": ("192.0.2.1", 80),
            "CDN.test": ("192.0.2.1", 80),
            "192.0.2.7": ("192.0.2.7", 80),
            "[::1]": ("::1", 80),
            "[2001:db8::1]:8080": ("2001:db8::1", 8080),
        }.items():
            wire = Wire()
            wire.ask(f"http://{authority}/")
            self.assertEqual(wire.dialled, dialled)
            self.assertIn(f"\r\nHost: {authority}\r\n".encode(), wire.sent)

    def test_kept_open(self) -> None:
        """One connection serves one question after the other, for no longer than registries keep theirs open."""
        wire = Wire()
        for _ in range(3):
            answered = wire.ask("http://one.test/")
            wire.say(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.assertEqual(self.successResultOf(answered).code, 204)
        self.assertEqual(len(wire.transports), 1)
        wire.memory.advance(56)
        self.assertFalse(wire.transports[0].connected)

    def test_not_shared(self) -> None:
        """A connection that is busy, or leads to another port, serves nobody else."""
        wire = Wire()
        for url in ("http://one.test/", "http://one.test/", "http://one.test:81/"):
            wire.ask(url)
        self.assertEqual(len(wire.transports), 3)


class HeadLimitTests(SynchronousTestCase):
    """How much of a head a registry may send."""

    def setUp(self) -> None:
        """Ask."""
        self.wire = Wire()
        self.asking = self.wire.ask("http://one.test/")

    def taken(self) -> Any:
        """Return the answer."""
        answer = self.successResultOf(self.asking)
        self.assertEqual(answer.code, 204)
        self.assertFalse(self.wire.transports[0].is_aborted)
        return answer

    def assertRefused(self, sentence: str) -> None:
        """Fail unless the connection was closed at once, for that reason, while the registry still talks."""
        failure = self.failureResultOf(self.asking, ResponseFailed)
        reasons: list[Any] = failure.value.reasons
        self.assertEqual([(each.type, str(each.value)) for each in reasons], [(HeadTooLong, sentence)])
        self.assertTrue(self.wire.transports[0].is_aborted)

    def test_longest_line(self) -> None:
        """A line of 64 KiB is taken, whichever way it ends."""
        for end in (b"\r\n", b"\n"):
            self.setUp()
            line = b"x-token: " + b"x" * (MAX_LINE - 9)
            self.wire.say(b"HTTP/1.1 204 No Content" + end + line + end + end)
            self.assertEqual(self.taken().headers.getRawHeaders("x-token"), ["x" * (MAX_LINE - 9)])

    def test_longer_line(self) -> None:
        """A line of one byte more is not."""
        self.wire.say(b"HTTP/1.1 204 No Content\r\nx: " + b"x" * (MAX_LINE - 2) + b"\r\n\r\n")
        self.assertRefused("a header line of more than 64 KiB")

    def test_endless_line(self) -> None:
        """Nor is one that never ends: it is not waited for, and not kept."""
        self.wire.say(b"HTTP/1.1 204 No Content\r\nx: ")
        for _ in range(3):
            self.assertNoResult(self.asking)
            self.wire.say(b"x" * 30_000)
        self.assertRefused("a header line of more than 64 KiB")

    def head(self, size: int) -> bytes:
        """Make a head whose lines have so many bytes, without their ends."""
        lines = [b"HTTP/1.1 204 No Content", *[b"x: " + b"x" * 997] * 130]
        lines.append(b"y: " + b"y" * (size - sum(map(len, lines)) - 3))
        return b"\r\n".join([*lines, b"", b""])

    def test_largest_head(self) -> None:
        """A head of 128 KiB is taken, in however many pieces."""
        head = self.head(MAX_HEAD)
        for start in range(0, len(head), 999):
            self.wire.say(head[start : start + 999])
        self.taken()

    def test_larger_head(self) -> None:
        """A head of one byte more is not."""
        self.wire.say(self.head(MAX_HEAD + 1))
        self.assertRefused("a head of more than 128 KiB")

    def test_endless_informational_answers(self) -> None:
        """Nor are answers that only announce the real one, over and over."""
        for _ in range(200):
            if not self.wire.transports[0].connected:
                break
            self.wire.say(b"HTTP/1.1 103 Early Hints\r\nlink: " + b"x" * 1000 + b"\r\n\r\n")
        self.assertRefused("a head of more than 128 KiB")

    def test_each_answer_counts_for_itself(self) -> None:
        """On a connection that is used again, each head may be as large; and bodies are no heads."""
        for _ in range(3):
            self.wire.say(self.head(MAX_HEAD))
            self.taken()
            self.asking = self.wire.ask("http://one.test/")
        self.assertEqual(len(self.wire.transports), 1)
        self.wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        self.assertEqual(self.successResultOf(self.asking).length, 200_000)
