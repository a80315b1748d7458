"""Tests for L{registryproxy.oci.digest}."""

import hashlib

from hypothesis import given
from hypothesis.strategies import binary, from_regex, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import InvalidDigest
from registryproxy.oci.digest import Digest
from tests.support.strategies import ALGORITHMS, clutter, digests

HEX = "0123456789abcdef" * 4
NEAR_MISSES = from_regex(r"(sha256|sha512|SHA256|sha-256|md5):[0-9a-fA-F]{60,66}\n?", fullmatch=True)


class ParseTests(SynchronousTestCase):
    """Reading what clients and registries write."""

    @given(text() | clutter | NEAR_MISSES)
    def test_total(self, written: str) -> None:
        """Any text is either refused, or written back exactly as it was read."""
        try:
            digest = Digest.parse(written)
        except InvalidDigest:
            return
        self.assertEqual(str(digest), written)

    @given(digests)
    def test_round_trip(self, digest: Digest) -> None:
        """What is written is read as the same digest."""
        self.assertEqual(Digest.parse(str(digest)), digest)

    def test_known_algorithms(self) -> None:
        """Digests of sha256 and sha512 have all of their lower-case hex digits."""
        for algorithm, encoded in (("sha256", HEX), ("sha512", HEX * 2)):
            digest = Digest.parse(f"{algorithm}:{encoded}")
            self.assertEqual((digest.algorithm, digest.encoded, digest.is_known), (algorithm, encoded, True))

    def test_near_misses(self) -> None:
        """A digit more or less, an upper-case one, or a line's end, and it is no digest of these."""
        for written in (
            *("sha256:" + HEX[1:], "sha256:" + HEX + "0", "sha256:" + HEX.upper(), "sha256:" + HEX + "\n"),
            *("sha512:" + HEX, "sha256:" + HEX * 2, "sha256:" + HEX[:-1] + "g", "sha256:" + HEX[:-1] + "-"),
            *("sha256:", ":" + HEX, HEX, "sha256" + HEX, "sha256::" + HEX, " sha256:" + HEX, "SHA256:" + HEX),
            *(
                "sha256:../../../etc/passwd",
                "sha256:" + HEX[:-3] + "/..",
                "sha256:" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
                "",
            ),
        ):
            self.assertRaises(InvalidDigest, Digest.parse, written)

    def test_unknown_algorithms(self) -> None:
        """Other algorithms may be named, for they are served; but nothing can be checked against them."""
        for written in ("md5:abc", "sha256+b64u:LCa0a2j_xo=", "multihash+base58:QmRZxt2b1F", "blake3:" + HEX):
            digest = Digest.parse(written)
            self.assertEqual((str(digest), digest.is_known), (written, False))
            self.assertRaises(InvalidDigest, digest.hasher)

    def test_at_the_limit(self) -> None:
        """A digest may have 512 characters in all, and no more."""
        self.assertEqual(str(Digest.parse("other:" + "a" * 506)), "other:" + "a" * 506)
        self.assertRaises(InvalidDigest, Digest.parse, "other:" + "a" * 507)

    def test_errors_are_short(self) -> None:
        """The sentence that refuses a megabyte of nonsense is short, and names it."""
        refused = self.assertRaises(InvalidDigest, Digest.parse, "nonsense" * 2**17)
        self.assertLess(len(str(refused)), 300)
        self.assertIn("nonsense", str(refused))


class ComputeTests(SynchronousTestCase):
    """Computing digests."""

    @given(binary(), sampled_from(ALGORITHMS))
    def test_of_content(self, content: bytes, algorithm: str) -> None:
        """The digest of content is what its algorithm says, in lower-case hex."""
        self.assertEqual(Digest.of(content, algorithm).encoded, hashlib.new(algorithm, content).hexdigest())

    @given(binary(), binary(), sampled_from(ALGORITHMS))
    def test_piece_by_piece(self, first: bytes, second: bytes, algorithm: str) -> None:
        """A hasher that is fed piece by piece comes to the same digest."""
        whole = Digest.of(first + second, algorithm)
        hasher = whole.hasher()
        hasher.update(first)
        hasher.update(second)
        self.assertEqual(hasher.hexdigest(), whole.encoded)
