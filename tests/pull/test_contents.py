"""Tests of content by digest: kept, joined, fetched once, refused."""

from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import ContentMismatch, UpstreamError, UpstreamUnavailable
from registryproxy.interfaces import Errand, Given, IBlobSource, Relayed
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.policy.outcome import Outcome
from tests.support.house import ONE, TWO, House, errand
from tests.support.registry import FakeInternet, FakeRegistry

APP = Repository("team/app")
OTHER = Repository("other/app")


def read_all(source: IBlobSource) -> bytes:
    """Read what can be read of a source now, and close it."""
    content = source.read(0, 1 << 30)
    source.close()
    return content


@define
class Pulled:
    """What a client got."""

    outcome: Outcome
    content: bytes


class ContentsTestCase(SynchronousTestCase):
    """A house over two registries."""

    def setUp(self) -> None:
        """Build them."""
        self.one, self.two = FakeRegistry(), FakeRegistry()
        self.root = Path(self.mktemp())
        self.house = House(self.root, FakeInternet(one=self.one, two=self.two))

    def ask(self, digest: Digest, on: Errand | None = None, repository: Repository = APP) -> "Deferred[Any]":
        """Ask for a blob."""
        asked = Deferred.fromCoroutine(self.house.pull.blob(on or errand(), repository, digest))
        self.house.agent.flush()
        return asked

    def pulled(self, digest: Digest, on: Errand | None = None, repository: Repository = APP) -> Pulled:
        """Pull a blob to its end."""
        given = self.successResultOf(self.ask(digest, on, repository))
        assert isinstance(given, Given), given
        assert given.source is not None
        self.successResultOf(given.source.when_beyond(1 << 40))
        return Pulled(given.outcome, read_all(given.source))

    def refused(self, digest: Digest, on: Errand | None = None, repository: Repository = APP) -> int:
        """Ask for a blob that is not given, and return the status."""
        relayed = self.successResultOf(self.ask(digest, on, repository))
        assert isinstance(relayed, Relayed), relayed
        relayed.answer.abandon()
        return relayed.answer.status


class FetchTests(ContentsTestCase):
    """Fetched once, kept, and given."""

    def test_fetched_once(self) -> None:
        """A blob is fetched for the first client, and given to the second from what is kept."""
        digest = self.one.add_blob(b"content")
        self.assertEqual(self.pulled(digest), Pulled(Outcome.MISS, b"content"))
        self.assertEqual(self.pulled(digest), Pulled(Outcome.HIT, b"content"))
        self.assertEqual(self.one.count("GET"), 1)

    def test_sha512(self) -> None:
        """Digests of sha512 are kept like those of sha256."""
        digest = self.one.add_blob(b"content", "sha512")
        self.pulled(digest)
        self.assertEqual(self.pulled(digest), Pulled(Outcome.HIT, b"content"))
        self.assertTrue((self.root / "blobs" / "sha512" / digest.encoded[:2] / digest.encoded).exists())

    def test_once_whatever_the_registry(self) -> None:
        """The same content from another registry's repository is not fetched again."""
        digest = self.one.add_blob(b"content")
        self.two.add_blob(b"content")
        self.pulled(digest)
        self.assertEqual(self.pulled(digest, errand(registry=TWO)).outcome, Outcome.HIT)
        self.assertEqual(self.two.count("GET"), 0)

    def test_empty(self) -> None:
        """A blob of no bytes is content like any other."""
        digest = self.one.add_blob(b"")
        self.assertEqual(self.pulled(digest).content, b"")
        self.assertEqual(self.pulled(digest), Pulled(Outcome.HIT, b""))

    def test_length_not_announced(self) -> None:
        """A registry that does not announce the length is kept from, too."""
        self.one.says_length = False
        digest = self.one.add_blob(b"content")
        self.assertEqual(self.pulled(digest).content, b"content")
        self.assertEqual(self.pulled(digest).outcome, Outcome.HIT)

    def test_survives_a_restart(self) -> None:
        """What is kept is given by the next process, nobody asked."""
        digest = self.one.add_blob(b"content")
        self.pulled(digest)
        self.house.index.close()
        self.house = House(self.root, FakeInternet(one=self.one))
        self.assertEqual(self.pulled(digest), Pulled(Outcome.HIT, b"content"))

    def test_head_is_never_a_get(self) -> None:
        """A HEAD for what is not kept is a HEAD upstream, and tells the length."""
        digest = self.one.add_blob(b"content")
        given = self.successResultOf(self.ask(digest, errand("HEAD")))
        self.assertEqual((given.size, given.source, given.outcome), (7, None, Outcome.MISS))
        self.assertEqual((self.one.count("HEAD"), self.one.count("GET")), (1, 0))

    def test_head_of_what_is_kept(self) -> None:
        """A HEAD for what is kept asks nobody."""
        digest = self.one.add_blob(b"content")
        self.pulled(digest)
        given = self.successResultOf(self.ask(digest, errand("HEAD")))
        self.assertEqual((given.size, given.outcome, self.one.count("HEAD")), (7, Outcome.HIT, 0))

    def test_refusal_is_passed_on(self) -> None:
        """What the registry does not have is its own 404, and nothing is left behind."""
        self.assertEqual(self.refused(Digest.of(b"nowhere")), 404)
        self.assertEqual(list((self.root / "incoming").iterdir()), [])

    def test_a_disk_that_does_not_take_it(self) -> None:
        """Where another process writes the blob, it passes through unkept."""
        digest = self.one.add_blob(b"content")
        writer = self.house.store.begin(digest)
        relayed = self.successResultOf(self.ask(digest))
        self.assertEqual(relayed.answer.status, 200)
        relayed.answer.abandon()
        writer.abandon()
        self.assertEqual(self.pulled(digest).outcome, Outcome.MISS)


class JoinTests(ContentsTestCase):
    """Many who want it, while it is on its way."""

    def setUp(self) -> None:
        """Let the test send the body."""
        super().setUp()
        self.one.slow = True
        self.digest = self.one.add_blob(b"0123456789")

    def send(self, count: int) -> None:
        """Let the registry send some bytes."""
        self.one.sending[0].send(count)
        self.house.agent.flush()

    def joined(self) -> Given:
        """Join, and be given a source."""
        given = self.successResultOf(self.ask(self.digest))
        assert isinstance(given, Given)
        return given

    def test_streams_while_it_arrives(self) -> None:
        """Bytes are given as they come, all but the last of those announced."""
        first = self.joined()
        assert first.source is not None
        self.send(4)
        self.assertEqual(first.source.read(0, 100), b"0123")
        waiting = first.source.when_beyond(4)
        self.assertNoResult(waiting)
        self.send(6)
        self.successResultOf(waiting)
        self.assertEqual(read_all(first.source), b"0123456789")

    def test_the_last_byte_waits_for_the_digest(self) -> None:
        """Until the digest is verified, the last byte is nobody's."""
        held: list[Deferred[None]] = []

        def threads(function: Any, *arguments: Any) -> "Deferred[Any]":
            done: Deferred[Any] = Deferred()
            done.addCallback(lambda _: function(*arguments))
            held.append(done)
            return done

        self.house.contents._in_thread = threads
        source = self.joined().source
        assert source is not None
        self.send(10)
        held.pop(0).callback(None)
        self.assertEqual(source.read(0, 100), b"012345678")
        held.pop(0).callback(None)  # verified
        self.assertEqual(source.read(0, 100), b"0123456789")
        held.pop(0).callback(None)  # published
        source.close()

    def test_joining_while_it_is_published(self) -> None:
        """Who comes between the file's last name and the end of its download is served, too."""
        finished: list[tuple[Deferred[Any], Any]] = []

        def threads(function: Any, *arguments: Any) -> "Deferred[Any]":
            done: Deferred[Any] = Deferred()
            finished.append((done, function(*arguments)))
            return done

        self.house.contents._in_thread = threads
        first = self.joined()
        self.send(10)
        for _ in ("append", "verify"):
            done, result = finished.pop(0)
            done.callback(result)
        self.assertTrue(self.house.contents.is_kept(self.digest))
        second = self.joined()
        done, result = finished.pop(0)
        done.callback(result)
        for given in (first, second, self.joined()):
            assert given.source is not None
            self.assertEqual(read_all(given.source), b"0123456789")
        self.assertEqual((second.outcome, self.one.count("GET")), (Outcome.HIT, 1))

    def test_one_get_for_all(self) -> None:
        """Whoever comes while it arrives reads the same download from its beginning."""
        first = self.joined()
        self.send(4)
        second = self.joined()
        self.send(6)
        self.assertEqual((first.outcome, second.outcome), (Outcome.MISS, Outcome.UPDATING))
        for given in (first, second):
            assert given.source is not None
            self.assertEqual(read_all(given.source), b"0123456789")
        self.assertEqual(self.one.count("GET"), 1)

    def test_the_first_leaves(self) -> None:
        """The client for whom the fetch began may leave; it goes on, and is kept."""
        source = self.joined().source
        assert source is not None
        waiting = source.when_beyond(0)
        waiting.cancel()
        self.failureResultOf(waiting)
        source.close()
        self.send(10)
        self.assertEqual(self.pulled(self.digest).outcome, Outcome.HIT)

    def test_joining_before_the_answer(self) -> None:
        """Two who ask before the registry has answered share one question, and one may leave."""
        self.one.slow = False
        waiting = [Deferred.fromCoroutine(self.house.pull.blob(errand(), APP, self.digest)) for _ in range(3)]
        if not waiting[0].called:
            waiting[0].cancel()
            self.failureResultOf(waiting[0])
        self.house.agent.flush()
        for asked in waiting[1:]:
            given = self.successResultOf(asked)
            assert isinstance(given, Given)
            assert given.source is not None
            self.assertEqual(read_all(given.source), b"0123456789")
        self.assertEqual(self.one.count("GET"), 1)

    def test_cut(self) -> None:
        """A body that is cut fails its readers, is not kept, and is fetched anew by the next."""
        source = self.joined().source
        assert source is not None
        self.send(4)
        waiting = source.when_beyond(4)
        self.one.sending[0].cut()
        self.house.agent.flush()
        self.failureResultOf(waiting, UpstreamUnavailable)
        self.assertEqual(source.read(0, 100), b"0123")
        self.failureResultOf(source.when_beyond(9), UpstreamError)
        source.close()
        self.one.slow = False
        self.assertEqual(self.pulled(self.digest), Pulled(Outcome.MISS, b"0123456789"))

    def test_a_lie(self) -> None:
        """Content that does not fit its digest is never whole, and never kept."""
        self.one.lies[self.digest] = b"9876543210"
        source = self.joined().source
        assert source is not None
        waiting = source.when_beyond(9)
        self.send(10)
        lied = self.failureResultOf(waiting, ContentMismatch)
        self.assertIn(str(self.digest), str(lied.value))
        self.assertIn(str(Digest.of(b"9876543210")), str(lied.value))
        self.assertEqual(len(read_all(source)), 9)
        self.assertFalse(self.house.contents.is_kept(self.digest))

    def test_stop(self) -> None:
        """A stop drops what is not whole, and lets what is be published."""
        other = self.one.add_blob(b"another")
        source = self.joined().source
        assert source is not None
        self.successResultOf(self.ask(other)).source.close()
        stopped = Deferred.fromCoroutine(self.house.pull.stop())
        self.house.agent.flush()
        self.successResultOf(stopped)
        self.failureResultOf(source.when_beyond(9), UpstreamError)
        source.close()
        self.assertEqual(list((self.root / "incoming").iterdir()), [])

    def test_silence(self) -> None:
        """A registry that says nothing more within a body is given up after the time set."""
        source = self.joined().source
        assert source is not None
        self.send(4)
        waiting = source.when_beyond(4)
        self.house.clock.advance(59)
        self.assertNoResult(waiting)
        self.house.clock.advance(2)
        self.house.agent.flush()
        self.failureResultOf(waiting, UpstreamError)
        source.close()
        self.assertEqual(self.house.clock.getDelayedCalls(), [])


class PrivateTests(ContentsTestCase):
    """What was fetched with a client's own credentials is not for everybody."""

    def setUp(self) -> None:
        """Let Alice bring a blob of a registry that wants credentials."""
        super().setUp()
        self.one.token = "Bearer alice"
        self.digest = self.one.add_blob(b"secret")
        self.alice = errand(authorization="Bearer alice")
        self.pulled(self.digest, self.alice)

    def test_not_for_strangers(self) -> None:
        """Who has no credentials, or others, gets the registry's own refusal, with its challenge."""
        self.assertEqual(self.refused(self.digest), 401)
        relayed = self.successResultOf(self.ask(self.digest, errand(authorization="Bearer mallory")))
        self.assertEqual(relayed.answer.status, 401)
        self.assertIn("Bearer realm", relayed.answer.fields.get("www-authenticate"))

    def test_not_by_head(self) -> None:
        """A HEAD tells a stranger nothing."""
        self.assertEqual(self.refused(self.digest, errand("HEAD")), 401)

    def test_for_alice_without_asking(self) -> None:
        """For five minutes the registry's word on her credentials is believed."""
        before = len(self.one.asked)
        self.assertEqual(self.pulled(self.digest, self.alice).outcome, Outcome.HIT)
        self.house.clock.advance(299)
        self.pulled(self.digest, self.alice)
        self.assertEqual(len(self.one.asked), before)

    def test_asked_again_after_a_while(self) -> None:
        """After that it is asked again, by HEAD, and what it says now counts."""
        self.house.clock.advance(301)
        self.assertEqual(self.pulled(self.digest, self.alice).outcome, Outcome.HIT)
        self.assertEqual(self.one.count("HEAD"), 1)
        self.one.token = "Bearer rotated"
        self.house.clock.advance(301)
        self.assertEqual(self.refused(self.digest, self.alice), 401)

    def test_not_through_another_repository(self) -> None:
        """A right to one repository opens no digest of another: the registry is asked."""
        before = self.one.count("HEAD")
        self.pulled(self.digest, self.alice, OTHER)
        self.assertEqual(self.one.count("HEAD"), before + 1)

    def test_not_while_the_registry_is_down(self) -> None:
        """When the registry cannot be asked, strangers get nothing."""
        self.one.broken = 503
        self.assertEqual(self.refused(self.digest), 503)

    def test_public_elsewhere(self) -> None:
        """Content that anyone may read somewhere is public everywhere."""
        self.two.add_blob(b"secret")
        self.pulled(self.digest, errand(registry=TWO))
        self.assertEqual(self.pulled(self.digest).outcome, Outcome.HIT)

    def test_shared(self) -> None:
        """C{PRIVATE_IMAGES=shared} gives everything to everybody."""
        self.house.index.close()
        self.house = House(self.root, FakeInternet(one=self.one), checked=False)
        self.assertEqual(self.pulled(self.digest).content, b"secret")

    def test_a_refusal_is_not_anothers(self) -> None:
        """One client's refusal is not the answer to another who asks at the same time."""
        fresh = self.one.add_blob(b"another secret")
        waiting = [
            Deferred.fromCoroutine(self.house.pull.blob(errand(authorization=token), APP, fresh))
            for token in ("Bearer mallory", "Bearer alice")
        ]
        self.house.agent.flush()
        refused, given = (self.successResultOf(each) for each in waiting)
        self.assertEqual(refused.answer.status, 401)  # type: ignore[union-attr]
        assert isinstance(given, Given)
        assert given.source is not None
        self.assertEqual(read_all(given.source), b"another secret")


class NamesTests(ContentsTestCase):
    """The registry of the CONNECT is the one that is asked."""

    def test_each_its_own(self) -> None:
        """A blob is asked of the client's own registry."""
        digest = self.two.add_blob(b"content")
        self.assertEqual(self.refused(digest, errand(registry=ONE)), 404)
        self.assertEqual(self.pulled(digest, errand(registry=TWO)).content, b"content")
