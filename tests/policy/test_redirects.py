"""Tests for L{registryproxy.policy.redirects}."""

import string
from urllib.parse import urljoin

from hypothesis import assume, given
from hypothesis.strategies import from_regex, lists, sampled_from, text, tuples
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import BadRedirect
from registryproxy.policy.redirects import STATUSES, fields_for, next_url, origin, without_query
from registryproxy.wire.headers import Fields
from tests.support.strategies import clutter, field_values

SENT_BY = "https://quay.io/v2/team/app/blobs/sha256:abc?state=secret"
HARMLESS = ["accept", "range", "if-range", "user-agent"]

# All that may stand in a path or a query, whether the RFCs like it or not.
VISIBLE = "".join(set(string.printable) - set(string.whitespace))
PATHS = text(sorted(set(VISIBLE) - set("?#")), max_size=30).map("/{}".format)
QUERIES = text(sorted(set(VISIBLE) - set("#")), max_size=30).map("?{}".format)
HOSTS = sampled_from(
    ["cdn.test", "CDN.Test:8443", "192.0.2.1", "[2001:db8::1]:5000", "[::1]", "a_b.test", "x.test."]
)
SIGNED = tuples(
    sampled_from(["https://", "http://", "HTTPS://"]), HOSTS, PATHS, QUERIES | sampled_from([""])
).map("".join)
SEGMENTS = from_regex(r"(/?[a-z.]{0,3}){0,6}", fullmatch=True)


class NextURLTests(SynchronousTestCase):
    """Where a redirect leads."""

    @given(
        text()
        | clutter
        | field_values
        | clutter.map("https://cdn.test/{}".format)
        | clutter.map("https://{}".format)
    )
    def test_total(self, location: str) -> None:
        """Any text leads to a URL that can be asked for, or is a bad redirect."""
        try:
            target = next_url(SENT_BY, location)
        except BadRedirect:
            return
        scheme, host, port = origin(target)
        self.assertIn(scheme, {"http", "https"})
        self.assertTrue(host)
        self.assertTrue(0 < port < 65536)
        self.assertLessEqual(set(target), set(VISIBLE) - {"#"})
        self.assertTrue(target.partition("//")[2].partition("?")[0].count("/"), target)

    @given(SIGNED)
    def test_absolute_ones_stay_as_they_are(self, signed: str) -> None:
        """A signed URL comes out character by character as it went in, or its signature would not fit."""
        self.assertEqual(next_url(SENT_BY, signed), signed)

    @given(SIGNED)
    def test_fragments_are_cut(self, signed: str) -> None:
        """No fragment is sent to a server."""
        self.assertEqual(next_url(SENT_BY, f"{signed}#a?b#c/d"), signed)

    @given(PATHS, QUERIES)
    def test_queries_of_relative_ones_stay_as_they_are(self, path: str, query: str) -> None:
        """Nor does a query change where the rest is relative."""
        assume(not path.startswith("//"))
        self.assertEqual(next_url(SENT_BY, f"{path}{query}").partition("?")[2], query[1:])
        self.assertEqual(next_url(SENT_BY, query), SENT_BY.partition("?")[0] + query)

    @given(SEGMENTS)
    def test_relative_ones(self, reference: str) -> None:
        """They are resolved as urllib does it, for the query is all that it would spoil."""
        assume(reference and not reference.startswith("//"))
        resolved = urljoin(SENT_BY, reference)
        self.assertEqual(next_url(SENT_BY, reference), resolved)
        self.assertTrue(resolved.startswith("https://quay.io/"))

    def test_table(self) -> None:
        """Relative references of each kind, against the URL that sent them, not against the first one."""
        for location, leads_to in {
            "/artifacts-downloads/x?y=1": "https://quay.io/artifacts-downloads/x?y=1",
            "//cdn.test/x;?": "https://cdn.test/x;?",
            "other": "https://quay.io/v2/team/app/blobs/other",
            "./other?": "https://quay.io/v2/team/app/blobs/other?",
            "../manifests/x": "https://quay.io/v2/team/app/manifests/x",
            "../../../../../x": "https://quay.io/x",
            "?": "https://quay.io/v2/team/app/blobs/sha256:abc?",
            "": SENT_BY,
            "#here": SENT_BY,
            "https://cdn.test": "https://cdn.test/",
            "https://cdn.test?a=/b": "https://cdn.test/?a=/b",
            "http://quay.io/x": "http://quay.io/x",
            "https://quay.io:443//x": "https://quay.io:443//x",
        }.items():
            self.assertEqual(next_url(SENT_BY, location), leads_to, location)

    def test_scheme_relative_over_http(self) -> None:
        """C{//host} keeps the scheme of the URL that sent it."""
        self.assertEqual(next_url("http://a.test/x", "//b.test/y"), "http://b.test/y")

    def test_bad(self) -> None:
        """What HTTP cannot follow, what reads differently to different readers, and what carries credentials."""
        for location in (
            *(
                "ftp://a.test/",
                "javascript:x",
                "data:,x",
                "file:///etc/passwd",
                "mailto:a@b",
                "sha256:abc",
                "http:",
            ),
            *(
                "https:",
                "https:/x",
                "https:x",
                "https://",
                "https:///x",
                "///x",
                "//",
                "//:80/",
                "https://:443/",
            ),
            *(
                "https://u@a.test/",
                "https://u:p@a.test/",
                "https://@a.test/",
                "//u@a.test",
                "https://a.test\\@b.test/",
            ),
            *(
                "https://a.test:0/",
                "https://a.test:65536/",
                "https://a.test:x/",
                "https://a.test:/",
                "https://a.test:-1",
            ),
            *(
                "https://[::1/",
                "https://::1/",
                "https://[::1]x/",
                "https://[fe80::1%25eth0]/",
                "https://[v1.a]/",
            ),
            *(
                "https://127.1/",
                "https://0x7f000001/",
                "https://2130706433/",
                "https://%6c/",
                "https://a..b/",
            ),
            *(
                "https://a b/",
                "https://a.test/ x",
                "/a\tb",
                "/a\nb",
                "/a\x00",
                "/\x7f",
                "/\xe9",
                "https://\xe9.test/",
            ),
            *(" https://a.test/", "\x1fhttps://a.test/", "https://a.test/ ", "https://" + "a" * 300, None),
        ):
            refused = self.assertRaises(BadRedirect, next_url, SENT_BY, location)
            self.assertLess(len(str(refused)), 800)

    @given(text(VISIBLE, max_size=10))
    def test_errors_tell_no_secrets(self, rubbish: str) -> None:
        """The sentence names who sent us and where, but no query and no password."""
        for location in (
            f"ftp://joe:hunter2@a.test/{rubbish}?sig=hunter2",
            f"https://joe:hunter2@a?{rubbish}hunter2",
        ):
            refused = self.assertRaises(BadRedirect, next_url, SENT_BY, location)
            self.assertIn("quay.io", str(refused))
            self.assertNotIn("hunter2", str(refused))
            self.assertNotIn("secret", str(refused))


class FieldsForTests(SynchronousTestCase):
    """What goes along."""

    FIELDS = Fields(
        (
            ("Authorization", "Bearer x"),
            ("accept", "a/b"),
            ("Range", "bytes=1-"),
            ("if-range", '"x"'),
            ("User-Agent", "docker"),
            ("cookie", "x=y"),
            ("x-forwarded-for", "192.0.2.1"),
            ("proxy-authorization", "Basic x"),
            ("x-amz-security-token", "x"),
            ("referer", "https://quay.io"),
            ("authorization", "Basic y"),
        )
    )

    def test_within_an_origin(self) -> None:
        """Within one origin all goes along, however it is written."""
        for url, target in (
            ("https://quay.io/a", "https://quay.io/b?c"),
            ("https://quay.io/a", "https://QUAY.io:443/b"),
            ("http://quay.io/a", "HTTP://quay.io:80/b"),
            ("https://[::1]:5000/a", "https://[::1]:5000/b"),
        ):
            self.assertEqual(fields_for(url, target, self.FIELDS), self.FIELDS)

    def test_across_origins(self) -> None:
        """To another host, port or scheme goes only what says nothing about who asks."""
        for target in (
            *("https://cdn.quay.io/", "https://quay.io.evil.test/", "https://io/", "https://quay.io:8443/"),
            *("http://quay.io/", "http://quay.io:443/", "https://192.0.2.1/", "https://[::1]/"),
        ):
            kept = fields_for("https://quay.io/v2/", target, self.FIELDS)
            self.assertEqual(
                [name.lower() for name, _ in kept], ["accept", "range", "if-range", "user-agent"]
            )

    @given(
        lists(tuples(from_regex("[A-Za-z-]{1,8}", fullmatch=True) | sampled_from(HARMLESS), text())), SIGNED
    )
    def test_nothing_else_ever(self, lines: list[tuple[str, str]], target: str) -> None:
        """Whatever fields there are: what crosses is one of four, and none is invented."""
        crossed = list(fields_for("https://quay.io/", target, Fields(lines)))
        self.assertLessEqual({name.lower() for name, _ in crossed}, set(HARMLESS))
        self.assertEqual(crossed, [line for line in lines if line[0].lower() in HARMLESS])


class WordsTests(SynchronousTestCase):
    """The small ones."""

    def test_origin(self) -> None:
        """Scheme, host and port, with the default ports of both schemes."""
        self.assertEqual(origin("HTTPS://Quay.io/x"), ("https", "quay.io", 443))
        self.assertEqual(origin("http://[::1]/x:1"), ("http", "::1", 80))
        self.assertEqual(origin("https://a_b:5000?x"), ("https", "a_b", 5000))

    def test_statuses(self) -> None:
        """Five statuses are redirects; 300, 304, 305 and 306 are not."""
        self.assertEqual(STATUSES, {301, 302, 303, 307, 308})

    def test_without_query(self) -> None:
        """What is logged is cut at the query, and to a bearable length."""
        self.assertEqual(without_query("https://a/b?c?d"), "https://a/b")
        self.assertEqual(len(without_query("x" * 1000)), 300)
