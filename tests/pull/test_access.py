"""Tests for L{registryproxy.pull.access}: who may be given what is kept."""

from pathlib import Path

from hypothesis import given
from hypothesis.strategies import lists
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.interfaces import Errand
from registryproxy.oci.accept import OCI_INDEX
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.pull import access as access_module
from registryproxy.pull.access import REMEMBERED_SECONDS, Access
from registryproxy.store.index import Index
from registryproxy.wire.authority import Authority
from tests.support.house import ONE, START, TWO, errand
from tests.support.strategies import field_values

APP, OTHER = Repository("team/app"), Repository("team/other")
DIGEST, ANOTHER = Digest.of(b"content"), Digest.of(b"another")
ALICE = "Bearer hunter2"
BOB = "Basic Ym9iOnNlY3JldA=="


class AccessTestCase(SynchronousTestCase):
    """An index, a clock, and what is remembered."""

    def setUp(self) -> None:
        """Begin with nothing."""
        root = Path(self.mktemp())
        root.mkdir()
        self.index = Index.open(root / "index.sqlite")
        self.addCleanup(self.index.close)
        self.clock = Clock()
        self.clock.advance(START)
        self.access = Access(self.index, self.clock)

    def may(
        self,
        authorization: str | None = None,
        repository: Repository = APP,
        digest: Digest = DIGEST,
        registry: Authority = ONE,
    ) -> bool:
        """Tell whether somebody may have it."""
        return self.access.may_have(
            errand(authorization=authorization, registry=registry), repository, digest
        )

    def accept(
        self, authorization: str | None = None, repository: Repository = APP, digest: Digest = DIGEST
    ) -> None:
        """Let the registry accept somebody."""
        self.access.accepted(errand(authorization=authorization), repository, digest)


class MayHaveTests(AccessTestCase):
    """Who may have what."""

    def test_nobody_at_first(self) -> None:
        """Before the registry has said a word nobody may have anything."""
        self.assertFalse(self.may())
        self.assertFalse(self.may(ALICE))

    def test_public(self) -> None:
        """What was given to somebody without credentials is everybody's, through any repository of any registry."""
        self.accept()
        for authorization in (None, ALICE):
            self.assertTrue(self.may(authorization))
            self.assertTrue(self.may(authorization, OTHER, registry=TWO))
        self.assertFalse(self.may(digest=ANOTHER))

    def test_private(self) -> None:
        """What was given to somebody's credentials is for these credentials, and for nobody else's, or none."""
        self.accept(ALICE)
        self.assertTrue(self.may(ALICE))
        for other in (None, "", BOB, ALICE + " ", ALICE.lower(), ALICE[:-1]):
            self.assertFalse(self.may(other), other)

    def test_empty_credentials_are_credentials(self) -> None:
        """Who sends an empty C{Authorization} has not asked without one, and makes nothing public."""
        self.accept("")
        self.assertTrue(self.may(""))
        self.assertFalse(self.may())

    def test_a_digest_opens_nothing(self) -> None:
        """A right to one repository is none to another's content, though its digest be known."""
        self.accept(ALICE)
        self.accept(BOB, OTHER, ANOTHER)
        self.assertFalse(self.may(ALICE, APP, ANOTHER))
        self.assertFalse(self.may(ALICE, OTHER, ANOTHER))
        self.assertFalse(self.may(ALICE, OTHER, DIGEST))
        self.assertFalse(self.may(ALICE, APP, DIGEST, registry=TWO))

    def test_a_right_to_the_repository(self) -> None:
        """Whom the registry accepted for a repository may have all of its content that is known to be in it."""
        self.accept(BOB, APP, ANOTHER)
        self.accept(ALICE)
        self.assertTrue(self.may(ALICE, APP, ANOTHER))

    def test_remembered_for_a_while(self) -> None:
        """The registry's word holds for five minutes from when it was last given, and not for a second more."""
        self.accept(ALICE)
        self.clock.advance(REMEMBERED_SECONDS - 1)
        self.assertTrue(self.may(ALICE))
        self.accept(ALICE)
        self.clock.advance(REMEMBERED_SECONDS - 1)
        self.assertTrue(self.may(ALICE))
        self.clock.advance(1)
        self.assertFalse(self.may(ALICE))

    def test_public_for_ever(self) -> None:
        """What is public needs no word after any time, nor after a restart."""
        self.accept()
        self.clock.advance(10 * REMEMBERED_SECONDS)
        self.assertTrue(self.may())
        self.assertTrue(Access(self.index, self.clock).may_have(errand(), APP, DIGEST))

    def test_not_remembered_over_a_restart(self) -> None:
        """The next process asks anew about everybody."""
        self.accept(ALICE)
        self.assertFalse(Access(self.index, self.clock).may_have(errand(authorization=ALICE), APP, DIGEST))

    def test_shared(self) -> None:
        """Unless it is checked, everybody may have everything."""
        shared = Access(self.index, self.clock, is_checked=False)
        self.assertTrue(shared.may_have(errand(), APP, DIGEST))

    def test_type_is_noted(self) -> None:
        """The type of a manifest is noted with it."""
        self.access.accepted(errand(), APP, DIGEST, OCI_INDEX)
        self.assertEqual(self.index.media_type(ONE, APP, DIGEST), OCI_INDEX)


class MemoryTests(AccessTestCase):
    """What is remembered of credentials."""

    def test_no_secrets(self) -> None:
        """Nothing that is remembered or written has the credentials in it, nor anything that they hash to elsewhere."""
        self.accept(ALICE)
        key = self.access.key(errand(authorization=ALICE))
        told = repr((self.access, self.access._granted_at, self.access._salt, key))
        self.assertNotIn("hunter2", told)
        self.assertNotIn("granted", repr(self.access))
        self.assertNotIn("salt", repr(self.access))
        other = Access(self.index, self.clock)
        self.assertNotEqual(other.key(errand(authorization=ALICE)), key)

    @given(lists(field_values, unique=True))
    def test_keys(self, credentials: list[str]) -> None:
        """Different credentials have different keys, the same have the same, and none have another than the empty."""
        errands: list[Errand] = [errand(authorization=each) for each in (None, *credentials)]
        keys = [self.access.key(each) for each in errands]
        self.assertEqual(len(set(keys)), len(errands))
        self.assertEqual([self.access.key(each) for each in errands], keys)

    def test_bounded(self) -> None:
        """However many come, so many are remembered as there is room for, and the oldest is forgotten first."""
        self.patch(access_module, "_MAX_REMEMBERED", 3)
        for name in "abc":
            self.accept(name)
        self.accept("a")
        self.accept("d")
        self.assertEqual(len(self.access._granted_at), 3)
        self.assertEqual([self.may(name) for name in "abcd"], [True, False, True, True])
