"""Tests for L{registryproxy.store.index}: what it remembers."""

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import builds, floats, integers, lists, none, sampled_from, text, tuples
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from registryproxy.interfaces import IIndex, TagRecord
from registryproxy.oci.accept import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.store.index import Index
from registryproxy.wire.authority import Authority
from tests.support.strategies import digests

HUB, QUAY, PORT = (
    Authority("registry-1.docker.io", 443),
    Authority("quay.io", 443),
    Authority("quay.io", 5000),
)
APP, OTHER = Repository("team/app"), Repository("team/other")
LATEST = Tag("latest")
ONE, TWO = Digest.of(b"one"), Digest.of(b"two", "sha512")
RECORD = TagRecord(ONE, OCI_INDEX, 1234, 1_800_000_000.25)

RECORDS = builds(
    TagRecord,
    digests,
    text([chr(code) for code in range(1, 256)]),  # a field of ISO 8859-1
    none() | integers(0, 2**63 - 1),
    floats(0, 1e11),
)


class IndexTestCase(SynchronousTestCase):
    """An index in a folder of its own."""

    def setUp(self) -> None:
        """Make it."""
        self.root = Path(self.mktemp())
        self.root.mkdir()
        self.path = self.root / "index.sqlite"
        self.index = self.opened()

    def opened(self) -> Index:
        """Open the index once more."""
        index = Index.open(self.path)
        self.addCleanup(index.close)
        return index

    def reopen(self) -> None:
        """Be the next process."""
        self.index.close()
        self.index = self.opened()

    def observed(self) -> EventLoggingObserver:
        """Listen to the log."""
        observer = EventLoggingObserver()
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return observer

    def warnings_in(self, observer: EventLoggingObserver) -> list[str]:
        """Return what an operator is warned of; there may be nothing worse."""
        self.assertFalse([event for event in observer if event["log_level"] > LogLevel.warn])
        return [str(event["log_format"]) for event in observer if event["log_level"] is LogLevel.warn]


class TagTests(IndexTestCase):
    """What tags mean."""

    def test_provides_the_interface(self) -> None:
        """It has every method that its users count on."""
        self.assertTrue(verifyObject(IIndex, self.index))

    def test_nothing_noted(self) -> None:
        """What nobody noted is not there."""
        self.assertIsNone(self.index.tag(HUB, APP, LATEST, "d"))
        self.assertEqual(self.index.tag_of_any_group(HUB, APP, LATEST), [])

    def test_apart(self) -> None:
        """A tag is known by registry with port, repository, name and Accept class; no two of these ever meet."""
        here = (HUB, APP, LATEST, "d")
        self.index.note_tag(*here, RECORD)
        self.assertEqual(self.index.tag(*here), RECORD)
        for elsewhere in (
            (QUAY, APP, LATEST, "d"),
            (HUB, OTHER, LATEST, "d"),
            (HUB, APP, Tag("Latest"), "d"),
            (HUB, APP, LATEST, "D"),
            (HUB, APP, LATEST, ""),
        ):
            self.assertIsNone(self.index.tag(*elsewhere))
            self.index.note_tag(*elsewhere, TagRecord(TWO, "x/y", None, 1.0))
        self.index.note_tag(QUAY, APP, LATEST, "d", RECORD)
        self.assertIsNone(self.index.tag(PORT, APP, LATEST, "d"))
        self.assertEqual(self.index.tag(*here), RECORD)

    @given(lists(tuples(sampled_from(["", "d", "DOdo", "*"]), RECORDS), max_size=6))
    def test_round_trip(self, notes: list[tuple[str, TagRecord]]) -> None:
        """The last word on a tag is given back as it was noted, and those of all classes the newest first."""
        self.index.forget_tag(HUB, APP, LATEST)
        for group, record in notes:
            self.index.note_tag(HUB, APP, LATEST, group, record)
        last = dict(notes)
        self.assertEqual({group: self.index.tag(HUB, APP, LATEST, group) for group in last}, last)
        found = self.index.tag_of_any_group(HUB, APP, LATEST)
        self.assertCountEqual(found, last.values())
        self.assertEqual(
            [each.asked_at for each in found], sorted((r.asked_at for r in last.values()), reverse=True)
        )

    def test_forgotten(self) -> None:
        """A tag is forgotten for every class, and no other is."""
        for group in ("d", "O*"):
            self.index.note_tag(HUB, APP, LATEST, group, RECORD)
        self.index.note_tag(HUB, APP, Tag("1.0"), "d", RECORD)
        self.index.note_tag(QUAY, APP, LATEST, "d", RECORD)
        self.index.forget_tag(HUB, APP, LATEST)
        self.assertEqual(self.index.tag_of_any_group(HUB, APP, LATEST), [])
        self.assertEqual(self.index.tag(HUB, APP, Tag("1.0"), "d"), RECORD)
        self.assertEqual(self.index.tag(QUAY, APP, LATEST, "d"), RECORD)

    def test_survives(self) -> None:
        """All of it is there for the next process."""
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=True)
        self.reopen()
        self.assertEqual(self.index.tag(HUB, APP, LATEST, "d"), RECORD)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_INDEX)
        self.assertTrue(self.index.is_public(ONE))
        self.assertTrue(self.index.holds(HUB, APP, ONE))

    def test_lengths_beyond_all_bounds(self) -> None:
        """A length that no disk has is not noted, which is said, and no error."""
        observer = self.observed()
        self.index.note_tag(HUB, APP, LATEST, "d", TagRecord(ONE, OCI_INDEX, 10**30, 1.0))
        self.assertIsNone(self.index.tag(HUB, APP, LATEST, "d"))
        self.assertEqual(len(self.warnings_in(observer)), 1)


class HeldTests(IndexTestCase):
    """Who holds what, and who may read it."""

    def test_nothing_noted(self) -> None:
        """What nobody noted is nobody's, and not public."""
        self.assertFalse(self.index.is_public(ONE))
        self.assertFalse(self.index.holds(HUB, APP, ONE))
        self.assertIsNone(self.index.media_type(HUB, APP, ONE))

    def test_holds_just_what_was_noted(self) -> None:
        """A repository holds what its registry gave as a part of it, and nothing that another gave."""
        self.index.note_held(HUB, APP, ONE, None, public=False)
        self.assertTrue(self.index.holds(HUB, APP, ONE))
        for registry, repository, digest in ((QUAY, APP, ONE), (HUB, OTHER, ONE), (HUB, APP, TWO)):
            self.assertFalse(self.index.holds(registry, repository, digest))

    def test_public_anywhere_is_public(self) -> None:
        """What one registry gives to anybody is public, though another gives it to a few; but nothing else is."""
        self.index.note_held(HUB, APP, ONE, None, public=False)
        self.assertFalse(self.index.is_public(ONE))
        self.index.note_held(QUAY, OTHER, ONE, None, public=True)
        self.assertTrue(self.index.is_public(ONE))
        self.assertFalse(self.index.is_public(TWO))

    def test_public_sticks(self) -> None:
        """What was public once stays so, whatever is noted afterwards."""
        self.index.note_held(HUB, APP, ONE, None, public=True)
        for media_type in (None, OCI_INDEX):
            self.index.note_held(HUB, APP, ONE, media_type, public=False)
        self.reopen()
        self.assertTrue(self.index.is_public(ONE))

    def test_becomes_public(self) -> None:
        """What was private becomes public in the very repository that held it, and keeps its type."""
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=False)
        self.index.note_held(HUB, APP, ONE, None, public=True)
        self.assertTrue(self.index.is_public(ONE))
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_INDEX)

    def test_type_of_whom(self) -> None:
        """The type is what this repository's registry said, else this registry elsewhere, else any other."""
        self.index.note_held(QUAY, OTHER, ONE, DOCKER_MANIFEST, public=True)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), DOCKER_MANIFEST)
        self.index.note_held(HUB, OTHER, ONE, OCI_INDEX, public=True)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_INDEX)
        self.index.note_held(HUB, APP, ONE, None, public=True)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_INDEX)
        self.index.note_held(HUB, APP, ONE, OCI_MANIFEST, public=True)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_MANIFEST)
        self.assertEqual(self.index.media_type(QUAY, OTHER, ONE), DOCKER_MANIFEST)
        self.assertEqual(self.index.media_type(PORT, OTHER, ONE) is None, False)

    def test_type_is_the_last_that_was_said(self) -> None:
        """A registry that says another type is believed; one that says none takes nothing back."""
        self.index.note_held(HUB, APP, ONE, DOCKER_MANIFEST, public=False)
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=False)
        self.index.note_held(HUB, APP, ONE, None, public=False)
        self.assertEqual(self.index.media_type(HUB, APP, ONE), OCI_INDEX)

    def test_nothing_new_is_not_written(self) -> None:
        """A note that says nothing new, as each hit makes one, writes nothing to the disk."""
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=True)
        with sqlite3.connect(self.path) as outsider:
            before = outsider.execute("PRAGMA data_version").fetchone()
            for media_type in (None, OCI_INDEX):
                for public in (True, False):
                    self.index.note_held(HUB, APP, ONE, media_type, public)
            self.assertEqual(outsider.execute("PRAGMA data_version").fetchone(), before)
            self.index.note_held(HUB, APP, TWO, None, public=True)
            self.assertNotEqual(outsider.execute("PRAGMA data_version").fetchone(), before)
        outsider.close()
