"""Tests for L{registryproxy.wire.headers}."""

from hypothesis import given
from hypothesis.strategies import SearchStrategy, builds, lists, sampled_from, text, tuples
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.wire.headers import HOP_BY_HOP, Fields, back, onward

NAMES = [
    *sorted(HOP_BY_HOP),
    "Accept",
    "Authorization",
    "Host",
    "Cookie",
    "Set-Cookie",
    "X-One",
    "x-two",
    "Content-Length",
]


def fields() -> SearchStrategy[Fields]:
    """Make header sections in which C{Connection} may nominate any of the others."""
    nominating = builds(", ".join, lists(sampled_from(NAMES), max_size=3))
    return lists(
        tuples(sampled_from(NAMES), text(max_size=5))
        | tuples(sampled_from(["Connection", "connection"]), nominating)
    ).map(Fields)


class FieldsTests(SynchronousTestCase):
    """Tests for L{Fields}."""

    def test_names_ignore_case(self) -> None:
        """A field is found however its name is written."""
        self.assertEqual(Fields([("ETag", "one")]).get("etag"), "one")

    def test_first_and_all(self) -> None:
        """Of several lines with one name the first is got, or all in order."""
        twice = Fields([("Link", "a"), ("X", "-"), ("link", "b")])
        self.assertEqual((twice.get("link"), twice.all("LINK")), ("a", ["a", "b"]))

    def test_absent(self) -> None:
        """A field that is not there is nothing, or an empty list."""
        self.assertEqual((Fields().get("x"), Fields().all("x"), Fields().listed("x")), (None, [], []))

    def test_listed(self) -> None:
        """Members of a list are gathered over all lines; blanks and empty members are dropped."""
        self.assertEqual(Fields([("Via", "a, ,b"), ("via", " c ")]).listed("via"), ["a", "b", "c"])

    def test_keywords(self) -> None:
        """Keywords name fields, with underscores for dashes."""
        self.assertEqual(Fields.of(content_type="a/b").lines, (("content-type", "a/b"),))

    def test_with_field(self) -> None:
        """A field that is set replaces every line of that name, and leaves the old value alone."""
        old = Fields([("A", "1"), ("b", "2"), ("a", "3")])
        self.assertEqual(list(old.with_field("a", "4")), [("b", "2"), ("a", "4")])
        self.assertEqual(len(old.lines), 3)

    def test_values_are_not_shown(self) -> None:
        """Printing fields shows no value, for one may be a credential."""
        self.assertNotIn("secret", repr(Fields.of(authorization="secret")))


class PassingOnTests(SynchronousTestCase):
    """Tests for L{onward} and L{back}."""

    def test_own_authorization_goes_onward(self) -> None:
        """The client's credentials for the registry pass; those for the proxy end here."""
        sent = Fields.of(authorization="Bearer x", proxy_authorization="Basic y")
        self.assertEqual(list(onward(sent)), [("authorization", "Bearer x")])

    def test_one_client_is_not_another(self) -> None:
        """Cookies pass in neither direction."""
        self.assertEqual(list(onward(Fields.of(cookie="a=b"))) + list(back(Fields.of(set_cookie="a=b"))), [])

    def test_bodies_come_as_they_are_stored(self) -> None:
        """No registry is invited to compress what is named by its digest."""
        self.assertEqual(list(onward(Fields.of(accept_encoding="zstd, gzip"))), [])

    def test_nominated_fields_end_here(self) -> None:
        """What C{Connection} names concerns this connection only, however it is written."""
        sent = Fields([("Connection", "close, X-One"), ("x-one", "1"), ("X-Two", "2")])
        self.assertEqual((list(onward(sent)), list(back(sent))), ([("X-Two", "2")], [("X-Two", "2")]))

    @given(fields())
    def test_nothing_hop_by_hop_passes(self, sent: Fields) -> None:
        """Neither direction lets a hop-by-hop field through, nor one that the message nominates."""
        ends_here = HOP_BY_HOP | {name.lower() for name in sent.listed("connection")}
        for passed in (onward(sent), back(sent)):
            self.assertEqual([name for name, _ in passed if name.lower() in ends_here], [])

    @given(fields())
    def test_order_is_kept(self, sent: Fields) -> None:
        """What passes is what was sent, in its order, unchanged."""
        for passed in (onward(sent), back(sent)):
            lines = iter(sent.lines)
            self.assertTrue(all(line in lines for line in passed))
