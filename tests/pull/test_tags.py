"""Tests of tags: what they mean, when the registry is asked, and what is served when it cannot say."""

import json
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from zope.interface import implementer

from registryproxy.errors import ContentMismatch, UpstreamError
from registryproxy.interfaces import Errand, Given, Relayed
from registryproxy.oci.accept import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, SCHEMA1_SIGNED
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.policy.outcome import CacheType, Outcome
from tests.support.house import ONE, TWO, House, errand
from tests.support.registry import FakeInternet, FakeRegistry

APP = Repository("team/app")
OLD = b'{"schemaVersion": 2, "old": true}'
NEW = b'{"schemaVersion": 2, "new": true}'


@implementer(IAgent)
@frozen
class Unplugged:
    """The internet, gone."""

    reason: Exception

    def request(self, *_: object, **__: object) -> "Deferred[Any]":
        """Fail as it fails."""
        return fail(self.reason)


@frozen
class Got:
    """What a client got."""

    outcome: Outcome
    content: bytes
    media_type: str = OCI_MANIFEST


class TagsTestCase(SynchronousTestCase):
    """A house over two registries that hold the same repository and tag."""

    manifest_cache = False

    def setUp(self) -> None:
        """Build them."""
        self.one, self.two = FakeRegistry(), FakeRegistry()
        self.root = Path(self.mktemp())
        self.house = self.build(Clock())

    def build(self, clock: Clock, outside: IAgent | None = None) -> House:
        """Start the proxy."""
        internet = FakeInternet(one=self.one, two=self.two)
        return House(self.root, internet, self.manifest_cache, clock=clock, outside=outside)

    def reopen(self, outside: IAgent | None = None) -> None:
        """Start the proxy again."""
        self.house.index.close()
        self.house = self.build(self.house.clock, outside)

    def unplug(self, reason: Exception) -> None:
        """Take the internet away."""
        self.reopen(outside=Unplugged(reason))

    def ask(self, tag: str = "latest", on: Errand | None = None) -> "Deferred[Any]":
        """Ask for a tag."""
        asked = Deferred.fromCoroutine(self.house.pull.tagged(on or errand(), APP, Tag(tag)))
        self.house.agent.flush()
        return asked

    def given(self, tag: str = "latest", on: Errand | None = None) -> Given:
        """Ask for a tag, and be given it."""
        given = self.successResultOf(self.ask(tag, on))
        assert isinstance(given, Given), given
        return given

    def got(self, tag: str = "latest", on: Errand | None = None) -> Got:
        """Ask for a tag, and read it."""
        given = self.given(tag, on)
        assert given.source is not None
        content = given.source.read(0, 1 << 30)
        given.source.close()
        return Got(given.outcome, content, given.media_type)

    def refused(self, tag: str = "latest", on: Errand | None = None) -> Relayed:
        """Ask for a tag, and be refused."""
        relayed = self.successResultOf(self.ask(tag, on))
        assert isinstance(relayed, Relayed), relayed
        relayed.answer.abandon()
        return relayed

    def counted(self) -> tuple[int, int]:
        """Count HEADs and GETs of manifests upstream."""
        return self.one.count("HEAD", "manifests"), self.one.count("GET", "manifests")


class AskingTests(TagsTestCase):
    """Without the manifest cache the registry is asked each time, by HEAD."""

    def test_one_get_in_all(self) -> None:
        """HEAD by tag, GET by digest, GET by tag: one GET upstream, and it is by digest."""
        digest = self.one.add_manifest("team/app", "latest", OLD)
        head = self.given(on=errand("HEAD"))
        self.assertEqual((head.digest, head.size, head.outcome), (digest, len(OLD), Outcome.MISS))
        by_digest = self.successResultOf(
            Deferred.fromCoroutine(self.house.pull.manifest(errand(), APP, digest))
        )
        assert isinstance(by_digest, Given)
        self.assertEqual(by_digest.outcome, Outcome.MISS)
        self.assertEqual(by_digest.cache_type, CacheType.MANIFEST_BY_DIGEST)
        self.assertEqual(self.got(), Got(Outcome.REVALIDATED, OLD))
        self.assertEqual(self.counted(), (2, 1))
        self.assertIn(str(digest), next(each.path for each in self.one.asked if each.method == "GET"))

    def test_asked_each_time(self) -> None:
        """A tag is asked for each time, and fetched only when it has moved."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.assertEqual(self.got(), Got(Outcome.MISS, OLD))
        self.assertEqual(self.got(), Got(Outcome.REVALIDATED, OLD))
        self.one.add_manifest("team/app", "latest", NEW)
        self.assertEqual(self.got(), Got(Outcome.EXPIRED, NEW))
        self.assertEqual(self.got(), Got(Outcome.REVALIDATED, NEW))
        self.assertEqual(self.counted(), (4, 2))

    def test_type(self) -> None:
        """The type header says that the manifest cache is off."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.assertEqual(self.given().cache_type, CacheType.MANIFEST_DEFAULT_DISABLED)

    def test_two_registries_never_meet(self) -> None:
        """The same repository and tag of two registries are two images."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.two.add_manifest("team/app", "latest", NEW)
        for _ in range(2):
            self.assertEqual(self.got(on=errand(registry=ONE)).content, OLD)
            self.assertEqual(self.got(on=errand(registry=TWO)).content, NEW)

    def test_media_type_is_the_registrys(self) -> None:
        """The type is what the registry said, without a charset."""
        self.one.add_manifest("team/app", "latest", OLD, f"{DOCKER_MANIFEST}; charset=utf-8")
        self.assertEqual(self.got().media_type, DOCKER_MANIFEST)
        self.assertEqual(self.got().media_type, DOCKER_MANIFEST)

    def test_gone(self) -> None:
        """A tag that the registry no longer has is gone, and the digest still serves."""
        digest = self.one.add_manifest("team/app", "latest", OLD)
        self.got()
        del self.one.tags["team/app:latest"]
        refused = self.refused()
        self.assertEqual(
            (refused.answer.status, refused.cache_type), (404, CacheType.MANIFEST_DEFAULT_DISABLED)
        )
        self.unplug(Refused())
        self.failureResultOf(self.ask(), UpstreamError)
        kept = self.successResultOf(Deferred.fromCoroutine(self.house.pull.manifest(errand(), APP, digest)))
        assert isinstance(kept, Given)
        self.assertEqual(kept.outcome, Outcome.HIT)

    def test_refusal_has_a_body(self) -> None:
        """A client that GETs is told in JSON what the registry's HEAD said, and the registry is not asked twice."""
        given = self.successResultOf(self.ask("missing"))
        assert isinstance(given, Relayed)
        self.assertEqual(given.answer.status, 404)
        self.assertEqual(json.loads(given.answer._body)["errors"][0]["code"], "MANIFEST_UNKNOWN")  # type: ignore[attr-defined]
        self.assertEqual(self.counted(), (1, 0))

    def test_challenge_reaches_the_client(self) -> None:
        """A client without credentials gets the registry's own challenge."""
        self.one.token = "Bearer alice"
        self.one.add_manifest("team/app", "latest", OLD)
        self.assertIn("Bearer realm", self.refused().answer.fields.get("www-authenticate") or "")
        self.assertEqual(self.got(on=errand(authorization="Bearer alice")), Got(Outcome.MISS, OLD))
        self.assertEqual(self.refused().answer.status, 401)

    def test_concurrent_askers_share_one_question(self) -> None:
        """Of two who ask at once, the registry sees one."""
        self.one.add_manifest("team/app", "latest", OLD)
        waiting = [
            Deferred.fromCoroutine(self.house.pull.tagged(errand(), APP, Tag("latest"))) for _ in range(9)
        ]
        self.house.agent.flush()
        for each in waiting:
            self.successResultOf(each)
        self.assertLessEqual(self.counted()[1], 1)


class OddRegistryTests(TagsTestCase):
    """Registries that do not answer HEAD as the spec has it."""

    def test_no_head(self) -> None:
        """One that takes no HEAD is asked by GET, and what it gives is kept."""
        self.one.takes_head = False
        self.one.add_manifest("team/app", "latest", OLD)
        self.assertEqual(self.got(), Got(Outcome.REVALIDATED, OLD))
        self.assertEqual(self.refused(on=errand("HEAD")).answer.status, 405)
        self.unplug(Refused())
        self.assertEqual(self.got(), Got(Outcome.STALE, OLD))

    def test_no_digest(self) -> None:
        """One that names no digest is asked by GET, and the digest is computed."""
        self.one.says_digest = False
        self.one.add_manifest("team/app", "latest", OLD)
        self.assertEqual(self.given().digest, Digest.of(OLD))
        self.assertEqual(self.refused(on=errand("HEAD")).answer.length, len(OLD))

    def test_wrong_digest(self) -> None:
        """A manifest that does not fit the digest that came with it is not given, nor kept."""
        self.one.takes_head = False
        digest = self.one.add_manifest("team/app", "latest", OLD)
        self.one.lies[digest] = NEW
        self.failureResultOf(self.ask(), ContentMismatch)
        self.assertFalse(self.house.contents.is_kept(digest))

    def test_signed_schema1(self) -> None:
        """A manifest whose digest is not that of its bytes passes through."""
        self.one.add_manifest("team/app", "latest", OLD, SCHEMA1_SIGNED)
        self.assertEqual(self.refused().answer.status, 200)
        digest = self.one.tags["team/app:latest"]
        self.one.lies[digest] = NEW  # signed: other bytes than those that were digested
        by_digest = self.successResultOf(
            Deferred.fromCoroutine(self.house.pull.manifest(errand(), APP, digest))
        )
        assert isinstance(by_digest, Relayed)
        self.assertEqual(by_digest.answer.status, 200)
        by_digest.answer.abandon()

    def test_too_large(self) -> None:
        """A manifest of 4 MiB is kept; one byte more is refused where it must be read into memory."""
        self.one.takes_head = False
        limit = 4 * 1024 * 1024
        self.one.add_manifest("team/app", "limit", b"x" * limit)
        self.one.add_manifest("team/app", "beyond", b"x" * (limit + 1))
        self.assertEqual(len(self.got("limit").content), limit)
        self.failureResultOf(self.ask("beyond"), UpstreamError)


class TierTests(TagsTestCase):
    """With the manifest cache, a tag is believed for its tier's time."""

    manifest_cache = True

    def test_believed_while_fresh(self) -> None:
        """For as long as its tier says, a tag is answered without asking."""
        for tag, lifetime, kind in (
            ("stable-1", 10.0, CacheType.MANIFEST_PRIMARY),
            ("1.2", 600.0, CacheType.MANIFEST_SECONDARY),
            ("latest", 60.0, CacheType.MANIFEST_DEFAULT),
        ):
            self.one.add_manifest("team/app", tag, OLD)
            self.got(tag)
            self.one.add_manifest("team/app", tag, NEW)
            self.house.clock.advance(lifetime - 1)
            given = self.given(tag)
            self.assertEqual(
                (given.outcome, given.digest, given.cache_type), (Outcome.HIT, Digest.of(OLD), kind)
            )
            self.house.clock.advance(1)
            self.assertEqual(self.got(tag), Got(Outcome.EXPIRED, NEW))

    def test_head_while_fresh(self) -> None:
        """A HEAD is answered from what is known, length and all, nobody asked."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.given(on=errand("HEAD"))
        head = self.given(on=errand("HEAD"))
        self.assertEqual((head.outcome, head.size, self.counted()), (Outcome.HIT, len(OLD), (1, 0)))

    def test_revalidation_starts_the_time_anew(self) -> None:
        """A tag that still holds is believed for another term."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.got()
        self.house.clock.advance(61)
        self.assertEqual(self.got().outcome, Outcome.REVALIDATED)
        self.house.clock.advance(59)
        self.assertEqual(self.got().outcome, Outcome.HIT)

    def test_survives_a_restart(self) -> None:
        """What a tag means is known to the next process."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.got()
        self.reopen()
        self.assertEqual(self.got(), Got(Outcome.HIT, OLD))
        self.assertEqual(self.counted(), (1, 1))

    def test_a_clock_that_was_set_back(self) -> None:
        """A word from the future is not believed."""
        self.one.add_manifest("team/app", "latest", OLD)
        self.got()
        self.house.clock.rightNow -= 10_000
        self.assertEqual(self.got().outcome, Outcome.REVALIDATED)

    def test_fresh_but_private(self) -> None:
        """A fresh tag of private content is not for strangers."""
        self.one.token = "Bearer alice"
        self.one.add_manifest("team/app", "latest", OLD)
        self.got(on=errand(authorization="Bearer alice"))
        self.assertEqual(self.got(on=errand(authorization="Bearer alice")).outcome, Outcome.HIT)
        self.assertEqual(self.refused().answer.status, 401)


class AcceptTests(TagsTestCase):
    """A client that takes only a manifest never gets an index that another client brought."""

    manifest_cache = True

    def test_classes_do_not_mix(self) -> None:
        """Clients of different Accept classes are asked for separately."""
        self.one.add_manifest("team/app", "latest", OLD, OCI_INDEX)
        self.got()
        self.one.add_manifest("team/app", "latest", NEW, DOCKER_MANIFEST)
        only_manifests = errand(accept=DOCKER_MANIFEST)
        self.assertEqual(self.got(on=only_manifests), Got(Outcome.MISS, NEW, DOCKER_MANIFEST))
        self.assertEqual(self.got(), Got(Outcome.HIT, OLD, OCI_INDEX))

    def test_by_digest(self) -> None:
        """By digest, a client that does not take the kept kind gets the registry's own answer."""
        digest = self.one.add_manifest("team/app", "latest", OLD, OCI_INDEX)
        self.got()
        asked = Deferred.fromCoroutine(self.house.pull.manifest(errand(accept=DOCKER_MANIFEST), APP, digest))
        self.house.agent.flush()
        relayed = self.successResultOf(asked)
        assert isinstance(relayed, Relayed)
        relayed.answer.abandon()
        self.assertEqual(self.one.asked[-1].accept, DOCKER_MANIFEST)


class StaleTests(TagsTestCase):
    """When the registry cannot say, what is kept is served."""

    def setUp(self) -> None:
        """Let a public tag be kept."""
        super().setUp()
        self.digest = self.one.add_manifest("team/app", "latest", OLD)
        self.got()

    def test_ailing_registry(self) -> None:
        """For each status that is no word on the tag, what is kept is served, to GET and HEAD."""
        for status in (401, 403, 408, 429, 500, 502, 503, 504):
            self.one.broken = status
            self.assertEqual(self.got(), Got(Outcome.STALE, OLD), status)
            head = self.given(on=errand("HEAD"))
            self.assertEqual((head.outcome, head.size), (Outcome.STALE, len(OLD)))

    def test_registry_away(self) -> None:
        """A registry that cannot be reached is served for."""
        for reason in (Refused(), DNSLookupError(), OSError("no route")):
            self.unplug(reason)
            self.assertEqual(self.got(), Got(Outcome.STALE, OLD))

    def test_nothing_kept(self) -> None:
        """With nothing kept, the registry's own status is passed on, or its absence told."""
        self.one.broken = 429
        self.one.extra_fields["retry-after"] = "7"
        refused = self.refused("other")
        self.assertEqual((refused.answer.status, refused.answer.fields.get("retry-after")), (429, "7"))
        self.unplug(Refused())
        lost = self.failureResultOf(self.ask("other"), UpstreamError)
        self.assertEqual((lost.value.status, lost.value.code), (502, "UNAVAILABLE"))

    def test_for_clients_of_another_class(self) -> None:
        """A client whose Accept differs, but that takes what is kept, is served, too."""
        self.unplug(Refused())
        self.assertEqual(self.got(on=errand(accept=f"{OCI_MANIFEST}, */*")), Got(Outcome.STALE, OLD))
        self.failureResultOf(self.ask(on=errand(accept=DOCKER_MANIFEST)), UpstreamError)

    def test_moved_but_not_to_be_had(self) -> None:
        """A tag that has moved to what cannot be fetched is served as it was."""
        moved = self.one.add_manifest("team/app", "latest", NEW)
        self.one.lies[moved] = b"something else"
        self.assertEqual(self.got(), Got(Outcome.STALE, OLD))

    def test_ping(self) -> None:
        """C{/v2/} is answered in the registry's stead only while it is away."""

        def ping() -> Any:
            asked = Deferred.fromCoroutine(self.house.pull.ping(errand()))
            self.house.agent.flush()
            return self.successResultOf(asked)

        self.assertEqual(ping().answer.status, 200)
        self.one.token = "Bearer alice"
        self.assertEqual(ping().answer.status, 401)
        self.one.broken = 503
        self.assertIsNone(ping())
        self.unplug(Refused())
        self.assertIsNone(ping())
