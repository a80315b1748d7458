"""Tests for L{registryproxy.upstream.client}: what registries are asked, and what their answers say."""

import gzip

from hypothesis import given
from hypothesis.strategies import lists, sampled_from, tuples
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface.verify import verifyObject

from registryproxy import __version__
from registryproxy.interfaces import IUpstream, IUpstreamAnswer
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields
from tests.support.outside import Outside, collected
from tests.support.strategies import field_values


class Mirror(Resource):
    """
    Answers as it is told, and remembers what it was asked.

    @ivar lines: the fields of its answers.
    @ivar is_silent: whether it only remembers.
    """

    isLeaf = True

    def __init__(self) -> None:
        """Answer with 200 and C{hello}."""
        Resource.__init__(self)
        self.status = 200
        self.lines: list[tuple[bytes, bytes]] = [(b"content-length", b"5")]
        self.body = b"hello"
        self.is_silent = False
        self.asked: list[Request] = []
        self.was_secure = False
        self.was_given = b""

    def render(self, request: Request) -> int:
        """Answer, even where HTTP forbids it."""
        self.asked.append(request)
        self.was_secure = request.isSecure()
        self.was_given = request.content.read() if request.content is not None else b""
        if not self.is_silent:
            request.setResponseCode(self.status)
            request.defaultContentType = None
            for name, value in self.lines:
                request.responseHeaders.addRawHeader(name, value)
            if request.method != b"HEAD":
                request.write(self.body)
            request.finish()
        return NOT_DONE_YET

    @property
    def fields(self) -> dict[str, list[str]]:
        """The fields of the last question."""
        return {
            name.decode("latin-1").lower(): [value.decode("latin-1") for value in values]
            for name, values in self.asked[-1].requestHeaders.getAllRawHeaders()
        }


class AskingTestCase(SynchronousTestCase):
    """A mirror, and the way to it."""

    def setUp(self) -> None:
        """Build both."""
        self.mirror = Mirror()
        self.outside = Outside(self.mirror)

    def answer(self, method: str = "GET", *lines: tuple[str, str]) -> IUpstreamAnswer:
        """Ask, and get the answer's head."""
        answer: IUpstreamAnswer = self.successResultOf(self.outside.ask(method, fields=Fields(lines)))
        return answer


class QuestionTests(AskingTestCase):
    """What a registry sees."""

    def test_provides_the_interfaces(self) -> None:
        """It is what others count on."""
        self.assertTrue(verifyObject(IUpstream, self.outside.upstream))
        self.assertTrue(verifyObject(IUpstreamAnswer, self.answer()))

    def test_nothing_of_its_own(self) -> None:
        """Beside the client's fields a registry sees four: nothing of treq's, and no wish for another encoding."""
        self.answer()
        self.assertEqual(
            self.mirror.fields,
            {
                "host": ["one.test"],
                "user-agent": [f"registryproxy/{__version__}"],
                "accept-encoding": ["identity"],
                "connection": ["close"],  # the agent of the test keeps no connections
            },
        )

    def test_fields_go_as_they_are(self) -> None:
        """Each line of the client's arrives as it was, its own user agent among them, in the order of its kind."""
        self.answer(
            "GET", ("Authorization", "Bearer é"), ("accept", "a/b"), ("User-Agent", "docker"), ("accept", "c")
        )
        found = self.mirror.fields
        self.assertEqual(found["authorization"], ["Bearer é"])
        self.assertEqual((found["accept"], found["user-agent"]), (["a/b", "c"], ["docker"]))

    def test_encoding_is_not_the_clients(self) -> None:
        """Whatever the client would take, content is asked for as it is stored."""
        self.answer("GET", ("accept-encoding", "gzip, zstd"))
        self.assertEqual(self.mirror.fields["accept-encoding"], ["identity"])

    @given(lists(tuples(sampled_from(["accept", "range", "x-y"]), field_values)))
    def test_any_fields(self, lines: list[tuple[str, str]]) -> None:
        """Whatever a client may have sent as a field can be sent on."""
        outside = Outside(Mirror())
        self.successResultOf(outside.ask(fields=Fields(lines)))

    def test_host_and_port(self) -> None:
        """C{Host} names the registry with its port, where that is not the usual one, and IPv6 in brackets."""
        for registry, host in (
            (Authority("one.test", 5000), "one.test:5000"),
            (Authority("::1", 443), "[::1]"),
            (Authority("2001:db8::1", 5000), "[2001:db8::1]:5000"),
            (Authority("192.0.2.1", 443), "192.0.2.1"),
            (Authority("my_registry.test", 443), "my_registry.test"),
        ):
            self.successResultOf(self.outside.ask(registry=registry))
            self.assertEqual(self.mirror.fields["host"], [host])
            self.assertTrue(self.mirror.was_secure)

    def test_methods(self) -> None:
        """Whatever the method, it arrives as it is, and without a body."""
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            self.answer(method)
            self.assertEqual(self.mirror.asked[-1].method, method.encode())
            self.assertEqual(self.mirror.was_given, b"")

    def test_never_another_host(self) -> None:
        """What is no path cannot become a part of the host: neither C{.evil.test/} nor C{@evil.test/} nor a port."""
        for target in (".evil.test/", "@evil.test/", ":8080/", "https://evil.test/", "", "*"):
            self.successResultOf(self.outside.ask(target=target))
            self.assertEqual(self.mirror.fields["host"], ["one.test"])
            self.assertEqual(self.mirror.asked[-1].uri, b"/" + target.encode())

    def test_cookies_are_never_kept(self) -> None:
        """A cookie that one answer sets goes out with no other question: it would be another client's."""
        self.mirror.lines.append((b"set-cookie", b"session=secret; Domain=.test; Path=/"))
        self.answer("GET", ("authorization", "Bearer alice"))
        self.answer()
        self.assertNotIn("cookie", self.mirror.fields)

    def test_given_up(self) -> None:
        """Whoever asked may leave: the question is called off, which is no fault of the registry's."""
        self.mirror.is_silent = True
        asking = self.outside.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.outside.clock.getDelayedCalls(), [])


class HeadTests(AskingTestCase):
    """What the head of an answer says."""

    def test_any_status_is_an_answer(self) -> None:
        """Whatever the registry says is for others to judge."""
        for status in (200, 201, 206, 304, 400, 401, 404, 418, 429, 500, 503, 599):
            self.mirror.status = status
            self.assertEqual(self.answer().status, status)

    def test_fields(self) -> None:
        """Every line is there, names in lower case, each byte of the values as it was; of cookies, too."""
        self.mirror.lines += [
            (b"Docker-Content-Digest", b"sha256:x"),
            (b"Link", b"<a>"),
            (b"Link", b"<\xe9>"),
        ]
        fields = self.answer().fields
        self.assertEqual(fields.get("docker-content-digest"), "sha256:x")
        self.assertEqual(fields.all("link"), ["<a>", "<é>"])
        self.assertTrue(all(name == name.lower() for name, _ in fields))

    def test_no_encoding_is_invented(self) -> None:
        """Where there was no C{Content-Encoding}, there is none; where there was another, it stays."""
        self.assertEqual(self.answer().fields.all("content-encoding"), [])
        self.mirror.lines.append((b"content-encoding", b"zstd"))
        self.assertEqual(self.answer().fields.all("content-encoding"), ["zstd"])

    def test_length(self) -> None:
        """The length is what was announced, or nothing."""
        self.assertEqual(self.answer().length, 5)
        self.mirror.lines = []
        self.assertIsNone(self.answer().length)
        self.mirror.lines, self.mirror.body = [(b"content-length", b"0")], b""
        self.assertEqual(self.answer().length, 0)

    def test_length_of_head(self) -> None:
        """To a HEAD it is the length that a GET would bring, however large; nonsense is nothing."""
        for written, length in (
            (b"1234567890123456", 1234567890123456),
            (b"0", 0),
            *((nonsense, None) for nonsense in (b"-1", b"+5", b"5.0", b"five", b"", b"\xb2", b"9" * 5000)),
        ):
            self.mirror.lines = [(b"content-length", written)]
            self.assertEqual(self.answer("HEAD").length, length, written)
        self.mirror.lines = []
        self.assertIsNone(self.answer("HEAD").length)

    def test_bodiless(self) -> None:
        """Answers that have no body end at once."""
        for status, method in ((204, "GET"), (304, "GET"), (200, "HEAD")):
            self.mirror.status = status
            reader = collected(self.answer(method))
            self.assertEqual(reader.body, b"")
            assert reader.end is not None
            self.assertTrue(reader.end.check(ResponseDone))


class EncodedTests(AskingTestCase):
    """Registries that encode though nobody asked them to."""

    def setUp(self) -> None:
        """Encode."""
        super().setUp()
        self.mirror.body = gzip.compress(b"hello" * 1000)
        self.mirror.lines = [
            (b"content-encoding", b"gzip"),
            (b"content-length", b"%d" % len(self.mirror.body)),
        ]

    def test_decoded(self) -> None:
        """Content arrives as it is stored, so that its digest fits; nothing says that it was encoded."""
        answer = self.answer()
        self.assertEqual(collected(answer).body, b"hello" * 1000)
        self.assertEqual(answer.fields.all("content-encoding"), [])

    def test_length_is_unknown(self) -> None:
        """The length of what is encoded is not that of what arrives, be it told to a GET or a HEAD."""
        self.assertIsNone(self.answer().length)
        self.assertIsNone(self.answer("HEAD").length)
