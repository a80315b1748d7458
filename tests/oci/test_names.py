"""Tests for L{registryproxy.oci.names}."""

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import InvalidDigest, InvalidName, InvalidTag
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag, parse_reference
from tests.support.strategies import clutter, digests, repositories, tags


class RepositoryTests(SynchronousTestCase):
    """Names of repositories."""

    @given(text() | clutter)
    def test_total(self, written: str) -> None:
        """Any text is either refused, or written back exactly as it was read."""
        try:
            repository = Repository.parse(written)
        except InvalidName:
            return
        self.assertEqual(str(repository), written)

    @given(repositories)
    def test_round_trip(self, repository: Repository) -> None:
        """Every name of the grammar is a name."""
        self.assertEqual(Repository.parse(str(repository)), repository)

    @given(clutter)
    def test_harmless_as_a_path(self, written: str) -> None:
        """No name leads upwards, is absolute, or has anything in it that a path or a URL would take amiss."""
        try:
            parts = Repository.parse(written).name.split("/")
        except InvalidName:
            return
        self.assertTrue(all(part.strip(".") == part and part for part in parts), parts)
        self.assertTrue(set(written) <= set("abcdefghijklmnopqrstuvwxyz0123456789/._-"), written)

    def test_good(self) -> None:
        """Names as they are found in the wild."""
        for name in ("library/alpine", "a", "k8s.gcr.io/pause", "a__b/c-d/e--f.g_h", "0/1/2/3"):
            self.assertEqual(str(Repository.parse(name)), name)

    def test_bad(self) -> None:
        """What the grammar does not have."""
        for name in (
            *("", "/", "a/", "/a", "a//b", "A", "a/B", "..", "a/..", "../a", "a/../b", ".a", "a.", "a..b"),
            *("a___b", "_a", "a_", "-a", "a-", "a b", "a\n", "a:b", "a%2fb", "a@b", "ä", "a\\b", "a\x00"),
        ):
            self.assertRaises(InvalidName, Repository.parse, name)

    def test_at_the_limit(self) -> None:
        """A name has 255 characters at most."""
        self.assertEqual(len(str(Repository.parse("a" * 255))), 255)
        self.assertRaises(InvalidName, Repository.parse, "a" * 256)

    def test_quick_with_the_worst(self) -> None:
        """The grammar is read in one pass: what looks like a name to its last character costs no time to refuse."""
        for almost in ("a-" * 127, "a__" * 85, "a/" * 127, "a" * 254 + "!", "-" * 255, "a" + "-" * 253 + "!"):
            self.assertRaises(InvalidName, Repository.parse, almost)

    def test_errors_are_short(self) -> None:
        """The sentence that refuses a megabyte of nonsense is short."""
        self.assertLess(len(str(self.assertRaises(InvalidName, Repository.parse, "X" * 2**20))), 500)


class ReferenceTests(SynchronousTestCase):
    """Tags, and what stands where a tag may stand."""

    @given(text() | clutter)
    def test_total(self, written: str) -> None:
        """Any text is a tag, a digest, or refused; and it is written back exactly as it was read."""
        try:
            reference = parse_reference(written)
        except (InvalidTag, InvalidDigest):
            return
        self.assertEqual(str(reference), written)

    @given(tags | digests)
    def test_round_trip(self, reference: Tag | Digest) -> None:
        """Tags are read as tags, digests as digests."""
        self.assertEqual(parse_reference(str(reference)), reference)

    def test_colon_means_digest(self) -> None:
        """What has a colon is meant to be a digest, and the error says so."""
        self.assertRaises(InvalidDigest, parse_reference, "sha256:abc")
        self.assertRaises(InvalidDigest, parse_reference, ":")
        self.assertRaises(InvalidTag, parse_reference, "sha256-abc!")

    def test_bad_tags(self) -> None:
        """What the grammar does not have."""
        for tag in ("", ".", "..", "-a", ".a", "a/b", "a b", "a\n", "ä", "a%", "a+b", "\x00"):
            self.assertRaises(InvalidTag, Tag.parse, tag)

    def test_at_the_limit(self) -> None:
        """A tag has 128 characters at most."""
        self.assertEqual(len(str(Tag.parse("a" * 128))), 128)
        self.assertRaises(InvalidTag, Tag.parse, "a" * 129)

    def test_errors_are_short(self) -> None:
        """The sentence that refuses a megabyte of nonsense is short."""
        self.assertLess(len(str(self.assertRaises(InvalidTag, Tag.parse, "!" * 2**20))), 300)
