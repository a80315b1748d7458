"""Tests for L{registryproxy.store.layout}."""

from pathlib import Path

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import InvalidDigest
from registryproxy.oci.digest import Digest
from registryproxy.store.layout import Layout
from tests.support.strategies import clutter, digests

ROOT = Path("/cache")
LAYOUT = Layout(ROOT)


class LayoutTests(SynchronousTestCase):
    """Where things lie."""

    def test_as_documented(self) -> None:
        """Paths are those of the contract, which other tools and later versions rely on."""
        digest = Digest.of(b"")
        self.assertEqual(LAYOUT.blob(digest), ROOT / "blobs" / "sha256" / "e3" / digest.encoded)
        self.assertEqual(LAYOUT.part(digest), ROOT / "incoming" / f"{digest}.part")
        self.assertEqual(LAYOUT.incoming, ROOT / "incoming")
        self.assertEqual(LAYOUT.index, ROOT / "index.sqlite")

    @given(digests, digests)
    def test_apart(self, one: Digest, other: Digest) -> None:
        """Different digests lie at different paths, whatever their algorithms, and all below the root."""
        self.assertEqual(LAYOUT.blob(one) == LAYOUT.blob(other), one == other)
        self.assertEqual(LAYOUT.part(one) == LAYOUT.part(other), one == other)
        for path in (LAYOUT.blob(one), LAYOUT.part(one)):
            self.assertTrue(path.is_relative_to(ROOT) and ".." not in path.parts, path)

    @given(clutter.map("sha256:{}".format) | clutter.map("sha512:{}".format) | clutter)
    def test_nothing_leads_outside(self, written: str) -> None:
        """Whatever is asked for: it is no digest, is not known, or lies below the root."""
        try:
            path = LAYOUT.blob(Digest.parse(written))
        except InvalidDigest:
            return
        self.assertTrue(path.is_relative_to(ROOT / "blobs") and ".." not in path.parts, path)

    def test_unknown_algorithms(self) -> None:
        """Nothing is kept under an algorithm that nobody here can check."""
        for digest in (Digest("md5", "abc"), Digest("other", "0" * 64)):
            self.assertRaises(InvalidDigest, LAYOUT.blob, digest)
            self.assertRaises(InvalidDigest, LAYOUT.part, digest)
