"""Tests for L{registryproxy.wire.connect}."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import BadHead, ClientError, HeadTooLarge
from registryproxy.wire.authority import Authority
from registryproxy.wire.connect import MAX_HEAD, MAX_LINE, ConnectParser, ConnectRequest, NotConnect

HEAD = b"CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n\x00\n"

Outcome = tuple[str, object, bytes]


def outcome(pieces: list[bytes]) -> Outcome:
    """Feed the pieces; return the kind of what comes of it, what it says, and all bytes that are left over."""
    parser = ConnectParser()
    for number, piece in enumerate(pieces):
        try:
            result = parser.feed(piece)
        except ClientError as e:
            return type(e).__name__, str(e), b""
        after = b"".join(pieces[number + 1 :])
        if isinstance(result, NotConnect):
            return "other", None, result.received + after
        if isinstance(result, ConnectRequest):
            return "connect", (result.authority, result.fields), result.rest + after
    return "more", None, b""


def head_of(*lines: bytes, request_line: bytes = b"CONNECT ghcr.io:443 HTTP/1.1") -> bytes:
    """Write a head with these field lines behind a Host."""
    return b"\r\n".join([request_line, b"Host: ghcr.io:443", *lines, b"", b""])


# Heads that are well formed, or nearly so: each of their kinds of line can be wrong in some way.
NEAR_LINES = st.sampled_from(
    [
        b"Host: ghcr.io:443",
        b"User-Agent: containers/5.24 (github.com/containers/image)",
        b"Proxy-Authorization: Basic dTpw",
        b"Content-Length: 0",
        b"Content-Length: 7",
        b"Transfer-Encoding: chunked",
        b"Folded: a",
        b" b",
        b"Name : v",
        b": v",
        b"no colon",
        b"X: a\rb",
        b"X: a\nb",
        b"X: \x00",
        b"X:\xff\t\xe4 ",
        b"X: " + b"x" * (MAX_LINE - 3),
        b"X: " + b"x" * (MAX_LINE - 2),
        b"X: " + b"x" * (MAX_LINE - 3) + b"\r",
    ]
)
NEAR_HEADS = st.builds(
    lambda before, first, lines, end, rest: before + b"\r\n".join([first, *lines]) + end + rest,
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r"]),
    st.sampled_from(
        [
            b"CONNECT ghcr.io:443 HTTP/1.1",
            b"CONNECT [::1]:443 HTTP/1.0",
            b"CONNECT ghcr.io HTTP/1.1",
            b"CONNECT  ghcr.io:443 HTTP/1.1",
            b"CONNECT",
            b"CONNECTED x",
            b"GET / HTTP/1.1",
            CLIENT_HELLO,
        ]
    ),
    st.lists(NEAR_LINES, max_size=4),
    st.sampled_from([b"\r\n\r\n", b"\r\n", b"\n\n", b""]),
    st.sampled_from([b"", CLIENT_HELLO, b"x" * MAX_HEAD]),
)


class AcceptedTests(SynchronousTestCase):
    """What L{ConnectParser} takes for a CONNECT."""

    def test_connect(self) -> None:
        """A CONNECT names its target, and its fields are kept."""
        request = ConnectParser().feed(head_of(b"Proxy-Authorization:\tBasic dTpw "))
        assert isinstance(request, ConnectRequest)
        self.assertEqual(request.authority, Authority("ghcr.io", 443))
        self.assertEqual(request.fields.get("proxy-authorization"), "Basic dTpw")
        self.assertEqual(request.rest, b"")

    def test_client_hello_behind_the_head(self) -> None:
        """What an eager client sends behind the head comes out as it was, line ends and all."""
        self.assertEqual(outcome([HEAD + CLIENT_HELLO])[2], CLIENT_HELLO)

    def test_http_1_0_without_host(self) -> None:
        """C{openssl s_client -proxy}, and others of old, speak HTTP/1.0 and send no Host."""
        self.assertEqual(outcome([b"CONNECT ghcr.io:443 HTTP/1.0\r\n\r\n"])[0], "connect")

    def test_host_counts_for_nothing(self) -> None:
        """The target is what the request line says, whatever Host says."""
        request = ConnectParser().feed(b"CONNECT ghcr.io:443 HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert isinstance(request, ConnectRequest)
        self.assertEqual(request.authority.host, "ghcr.io")

    def test_one_empty_line_is_forgiven(self) -> None:
        """An empty line before the request is skipped; two are too many."""
        self.assertEqual(outcome([b"\r\n" + HEAD])[0], "connect")
        self.assertEqual(outcome([b"\r\n\r\n" + HEAD])[0], "BadHead")

    def test_length_of_nothing(self) -> None:
        """Some clients say that the body which a CONNECT never has is 0 bytes long."""
        self.assertEqual(outcome([head_of(b"Content-Length: 0")])[0], "connect")

    def test_secrets_are_not_shown(self) -> None:
        """Neither a request nor a parser shows what the client sent in its fields."""
        parser = ConnectParser()
        request = parser.feed(head_of(b"Proxy-Authorization: Basic dTpw"))
        self.assertNotIn("dTpw", repr(request) + repr(parser))


class OtherTests(SynchronousTestCase):
    """What L{ConnectParser} leaves to others."""

    def test_decided_by_the_first_byte(self) -> None:
        """That it is no CONNECT is said as soon as the first byte says so, and all bytes are given back."""
        self.assertEqual(ConnectParser().feed(b"G"), NotConnect(b"G"))
        self.assertEqual(ConnectParser().feed(b"\r\nG"), NotConnect(b"\r\nG"))

    def test_methods_that_begin_alike(self) -> None:
        """A method is read to its end before it is decided."""
        self.assertIs(ConnectParser().feed(b"CON"), None)
        self.assertEqual(ConnectParser().feed(b"CONNECTED /"), NotConnect(b"CONNECTED /"))
        self.assertEqual(ConnectParser().feed(b"connect a:1"), NotConnect(b"connect a:1"))

    def test_has_begun(self) -> None:
        """The parser knows whether the client has said anything."""
        parser = ConnectParser()
        self.assertFalse(parser.has_begun)
        parser.feed(b"C")
        self.assertTrue(parser.has_begun)


class RefusedTests(SynchronousTestCase):
    """What L{ConnectParser} refuses."""

    def assertRefused(self, head: bytes, sentence: str) -> None:
        """Fail unless the head is refused for that reason."""
        with self.assertRaisesRegex(BadHead, sentence):
            ConnectParser().feed(head)

    def test_tls_on_the_plain_port(self) -> None:
        """A ClientHello as the first thing is a mistake in somebody's settings, and is told as such."""
        self.assertRefused(b"\x16", "use an http:// URL")

    def test_not_http(self) -> None:
        """What cannot begin a request is refused at its first byte."""
        for first in (b"\x00", b" ", b"\n", b"\x05\x01\x00", b"\xff"):
            self.assertRefused(first, "not those of an HTTP request")

    def test_request_line(self) -> None:
        """The request line follows the grammar to the letter."""
        for line in (
            b"CONNECT ghcr.io:443",
            b"CONNECT ghcr.io:443 ",
            b"CONNECT  ghcr.io:443 HTTP/1.1",
            b"CONNECT ghcr.io:443 HTTP/1.1 ",
            b"CONNECT ghcr.io:443\tHTTP/1.1",
            b"CONNECT ghcr.io:443 HTTP/2.0",
            b"CONNECT ghcr.io:443 http/1.1",
            b"CONNECT gh\xe4r.io:443 HTTP/1.1",
        ):
            self.assertRefused(head_of(request_line=line), "not of the form CONNECT host:port HTTP/1.1")

    def test_target(self) -> None:
        """The target is a host and a port, and nothing else."""
        for target, sentence in (
            (b"ghcr.io", "'ghcr.io' lacks a port"),
            (b"ghcr.io:0", "port"),
            (b"127.1:443", "'127.1' is neither a DNS name nor an IP address"),
            (b"*", "lacks a port"),
            (b"/", "host:port, and no more"),
            (b"https://ghcr.io:443", "host:port, and no more"),
        ):
            self.assertRefused(head_of(request_line=b"CONNECT " + target + b" HTTP/1.1"), sentence)

    def test_secrets_are_not_quoted(self) -> None:
        """The sentence goes to the log: it has nothing of what may be somebody's password."""
        for head in (
            head_of(request_line=b"CONNECT user:secret@ghcr.io:443 HTTP/1.1"),
            head_of(request_line=b"CONNECT https://user:secret@ghcr.io/ HTTP/1.1"),
            head_of(request_line=b"CONNECT  user:secret@ghcr.io:443 HTTP/1.1"),
            head_of(b"Proxy-Authorization Basic secret"),
            head_of(b"Proxy-Authorization Basic: secret"),
            head_of(b"Proxy-Authorization: secret\x01"),
        ):
            error = self.assertRaises(BadHead, ConnectParser().feed, head)
            self.assertNotIn("secret", str(error))

    def test_line_ends(self) -> None:
        """A line ends in CRLF; other readers take a bare LF or CR for an end, and yet others do not."""
        self.assertRefused(HEAD.replace(b"\r\n", b"\n"), "bare LF")
        self.assertRefused(head_of(b"X: a\rY: b"), "bare CR")
        self.assertRefused(head_of(b"X: a\nY: b"), "bare LF")
        self.assertRefused(b"CONNECT ghcr.io:443\r HTTP/1.1\r\n\r\n", "bare CR")

    def test_bare_line_feed_is_found_at_once(self) -> None:
        """A head that ends its lines in LF alone is not waited for until the timeout."""
        self.assertRefused(b"CONNECT ghcr.io:443 HTTP/1.1\n", "bare LF")

    def test_nul(self) -> None:
        """A NUL ends a string for some readers."""
        self.assertRefused(head_of(b"X: a\0b"), "NUL")

    def test_fields(self) -> None:
        """A field is a token, a colon, and a value without control characters."""
        self.assertRefused(head_of(b"X: a", b" b"), "folded")
        self.assertRefused(head_of(b"\tX: a"), "folded")
        self.assertRefused(head_of(b"Host : ghcr.io"), "not the name of a field")
        self.assertRefused(head_of(b": v"), "not the name of a field")
        self.assertRefused(head_of(b"no colon"), "not the name of a field")
        self.assertRefused(head_of(b"X: \x1b[31m"), "control character")

    def test_hosts(self) -> None:
        """HTTP/1.1 has one Host; two are one too many in any version."""
        self.assertRefused(b"CONNECT ghcr.io:443 HTTP/1.1\r\n\r\n", "0 Host")
        self.assertRefused(head_of(b"host: ghcr.io:443"), "2 Host")
        self.assertRefused(b"CONNECT ghcr.io:443 HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "2 Host")

    def test_body(self) -> None:
        """A CONNECT that announces a body would be cut elsewhere by a proxy in front of us."""
        self.assertRefused(head_of(b"Content-Length: 5"), "no body")
        self.assertRefused(head_of(b"Content-Length: 0", b"Content-Length: 5"), "no body")
        self.assertRefused(head_of(b"Transfer-Encoding: chunked"), "no body")


class LimitTests(SynchronousTestCase):
    """The limits of L{ConnectParser}, and one byte beyond."""

    def test_line(self) -> None:
        """A line may have 64 KiB, its CRLF not counted."""
        self.assertEqual(MAX_LINE, 65536)
        self.assertEqual(outcome([head_of(b"X:" + b"x" * (MAX_LINE - 2))])[0], "connect")
        self.assertEqual(outcome([head_of(b"X:" + b"x" * (MAX_LINE - 1))])[0], "HeadTooLarge")

    def test_head(self) -> None:
        """A head may have 128 KiB, the empty line that ends it included."""
        self.assertEqual(MAX_HEAD, 131072)
        long = [b"A: " + b"x" * 60000, b"B: " + b"x" * 60000]
        room = MAX_HEAD - len(head_of(*long, b"C: "))
        self.assertEqual(outcome([head_of(*long, b"C: " + b"x" * room)])[0], "connect")
        self.assertEqual(outcome([head_of(*long, b"C: " + b"x" * (room + 1))])[0], "HeadTooLarge")

    def test_found_before_the_end(self) -> None:
        """What is too large is refused while it still arrives: nobody is made to keep it."""
        with self.assertRaises(HeadTooLarge):
            ConnectParser().feed(b"CONNECT " + b"x" * MAX_LINE)

    def test_rest_has_no_limit(self) -> None:
        """What comes behind the head does not count."""
        self.assertEqual(len(outcome([HEAD + b"x" * MAX_HEAD])[2]), MAX_HEAD)


class PropertyTests(SynchronousTestCase):
    """What holds for whatever is sent to a L{ConnectParser}."""

    @given(NEAR_HEADS | st.binary(), st.lists(st.integers(0, 70000)))
    def test_any_cut_is_the_same(self, sent: bytes, cuts: list[int]) -> None:
        """However the bytes are cut by the network, the same comes of them."""
        ends = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
        pieces = [sent[begin:end] for begin, end in pairwise(ends)]
        self.assertEqual(outcome(pieces), outcome([sent]))

    @given(st.sampled_from([HEAD + CLIENT_HELLO, b"\r\n" + HEAD, head_of(b" b"), b"\r\n\r\n", b"CONNECTx"]))
    def test_byte_by_byte(self, sent: bytes) -> None:
        """Single bytes are cuts, too."""
        self.assertEqual(outcome([sent[index : index + 1] for index in range(len(sent))]), outcome([sent]))

    @given(NEAR_HEADS | st.binary())
    def test_nothing_is_lost(self, sent: bytes) -> None:
        """What is not for us is handed on whole, and of a CONNECT all that stands behind its head."""
        kind, _, rest = outcome([sent])
        if kind == "other":
            self.assertEqual(rest, sent)
        if kind == "connect":
            head = sent.removesuffix(rest)
            self.assertTrue(head.endswith(b"\r\n\r\n"))
            self.assertNotIn(b"\r\n\r\n", head[2:-4])
