"""
Tags: what a tag means now, asked as cheaply as can be.

A tag is believed for its tier's time.  After that the registry is asked by HEAD, which Docker Hub does not count as
a pull, and the manifest is fetched by the digest that it tells, only where it is not kept already.  When the
registry cannot say, what is kept is served.
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from attrs import define, evolve, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from registryproxy.errors import ContentMismatch, InvalidDigest, UpstreamError
from registryproxy.flight import SingleFlight
from registryproxy.interfaces import Errand, Given, IIndex, IUpstreamAnswer, Relayed, TagRecord
from registryproxy.oci.accept import SCHEMA1_SIGNED
from registryproxy.oci.digest import Digest
from registryproxy.oci.manifest import MAX_MANIFEST_BYTES
from registryproxy.oci.names import Repository, Tag
from registryproxy.policy.outcome import CacheType, Outcome
from registryproxy.policy.statuses import Verdict, verdict
from registryproxy.policy.tiers import TierTable
from registryproxy.pull.access import Access
from registryproxy.pull.asking import Asker, HeldAnswer, read_whole_body
from registryproxy.pull.contents import Contents, media_type_in
from registryproxy.pull.manifests import Manifests


@frozen
class _Word:
    """
    A registry's word on a tag.

    @ivar record: what the tag means; None where the registry did not say.
    """

    answer: HeldAnswer
    record: TagRecord | None


@frozen
class _Question:
    """One tag, asked for by one client."""

    errand: Errand
    repository: Repository
    tag: Tag
    cache_type: CacheType
    lifetime: float

    @property
    def target(self) -> str:
        return f"/v2/{self.repository}/manifests/{self.tag}"


@define(eq=False)
class Tags:
    """What tags mean."""

    _log: ClassVar[Logger] = Logger()

    _index: IIndex
    _asker: Asker
    _access: Access
    _contents: Contents
    _manifests: Manifests
    _tiers: TierTable
    _clock: IReactorTime
    _asking: "SingleFlight[tuple[object, ...], _Word]" = field(factory=SingleFlight, init=False)

    async def manifest(self, errand: Errand, repository: Repository, tag: Tag) -> Given | Relayed:
        """
        Give the manifest that a tag means, or the registry's own answer.

        @raise UpstreamError: if nothing is kept and the registry cannot be asked.
        """
        tier = self._tiers.tier_of(str(tag))
        question = _Question(errand, repository, tag, tier.cache_type, tier.lifetime)
        kept = self._kept(question)
        if (
            kept is not None
            and 0 <= self._clock.seconds() - kept.asked_at < question.lifetime
            and self._access.may_have(errand, repository, kept.digest)
        ):
            return await self._give(question, kept, Outcome.HIT)
        try:
            word = await self._ask(question)
            if word.record is not None:
                return await self._give_new(question, kept, word.record)
            return await self._without_record(question, kept, word)
        except UpstreamError as e:
            stale = await self._stale(question)
            if stale is None:
                raise
            self._log.info(
                "{tag} of {repository} is served stale: {reason}",
                tag=str(tag),
                repository=str(repository),
                reason=str(e),
            )
            return stale

    # What is kept.

    def _kept(self, question: _Question) -> TagRecord | None:
        errand = question.errand
        record = self._index.tag(errand.registry, question.repository, question.tag, errand.accept.group)
        return record if record is not None and errand.accept.takes(record.media_type) else None

    async def _stale(self, question: _Question) -> Given | None:
        """Give what the tag meant when the registry last spoke, be it to clients of another Accept class."""
        for record in self._candidates(question):
            if self._contents.is_kept(record.digest) and self._access.may_have(
                question.errand, question.repository, record.digest
            ):
                given = await self._give(question, record, Outcome.STALE)
                if isinstance(given, Given):
                    return given
        return None

    def _candidates(self, question: _Question) -> Iterator[TagRecord]:
        kept = self._kept(question)
        if kept is not None:
            yield kept
        errand = question.errand
        for record in self._index.tag_of_any_group(errand.registry, question.repository, question.tag):
            if errand.accept.takes(record.media_type):
                yield record

    # What the registry says.

    async def _ask(self, question: _Question) -> _Word:
        """Ask by HEAD; all who ask the same with the same credentials share the question."""
        errand = question.errand
        key = (
            errand.registry,
            question.repository,
            question.tag,
            str(errand.accept),
            self._access.key(errand),
        )
        return await self._asking.join(key, partial(self._head, question))

    async def _head(self, question: _Question) -> _Word:
        errand = question.errand
        answer = await self._asker.ask(errand, "HEAD", question.target, str(errand.accept))
        if verdict(answer.status) is not Verdict.TOLD:
            return _Word(HeldAnswer.of_head(answer), None)
        record = self._record_in(answer)
        if record is not None:
            self._access.accepted(errand, question.repository, record.digest, record.media_type)
        return _Word(HeldAnswer.of_head(answer), record)

    def _record_in(self, answer: IUpstreamAnswer) -> TagRecord | None:
        """Read a tag's meaning from an answer's head, if it tells all that is needed to keep the manifest."""
        media_type = media_type_in(answer.fields)
        try:
            digest = Digest.parse(answer.fields.get("docker-content-digest") or "")
        except InvalidDigest:
            return None
        if media_type is None or media_type == SCHEMA1_SIGNED or not digest.is_known:
            return None
        return TagRecord(digest, media_type, answer.length, self._clock.seconds())

    async def _without_record(
        self, question: _Question, kept: TagRecord | None, word: _Word
    ) -> Given | Relayed:
        """Act upon an answer to HEAD that does not tell what the tag means."""
        errand = question.errand
        judged = verdict(word.answer.status)
        if judged is Verdict.AILING and (stale := await self._stale(question)) is not None:
            return stale
        if judged is Verdict.GONE:
            self._index.forget_tag(errand.registry, question.repository, question.tag)
        if errand.method == "HEAD":
            return Relayed(word.answer, question.cache_type)
        if judged in {Verdict.AILING, Verdict.GONE}:
            return Relayed(word.answer.as_refusal(), question.cache_type)
        # It takes no HEAD, or does not name digests, or has something to say that only a GET brings.
        return await self._get(question, kept)

    async def _get(self, question: _Question, kept: TagRecord | None) -> Given | Relayed:
        """Ask by GET, for a registry that does not answer HEAD, or does not name digests."""
        errand = question.errand
        answer = await self._asker.ask(errand, "GET", question.target, str(errand.accept))
        if verdict(answer.status) is not Verdict.TOLD or media_type_in(answer.fields) in {
            None,
            SCHEMA1_SIGNED,
        }:
            return Relayed(answer, question.cache_type)
        content = await read_whole_body(answer, MAX_MANIFEST_BYTES, f"the manifest {question.tag}")
        record = self._record_of(answer, content)
        self._access.accepted(errand, question.repository, record.digest, record.media_type)
        await self._contents.keep(record.digest, content)
        return await self._give_new(question, kept, record)

    def _record_of(self, answer: IUpstreamAnswer, content: bytes) -> TagRecord:
        told = self._record_in(answer)
        digest = Digest.of(content, told.digest.algorithm if told is not None else "sha256")
        if told is not None and told.digest != digest:
            raise ContentMismatch(f"{told.digest} was announced, but {digest} came; nothing of it is kept")
        media_type = media_type_in(answer.fields) or ""
        return TagRecord(digest, media_type, len(content), self._clock.seconds())

    # What the client gets.

    async def _give_new(
        self, question: _Question, kept: TagRecord | None, record: TagRecord
    ) -> Given | Relayed:
        """Give what the registry has just said, and remember it once the manifest itself is there."""
        errand = question.errand
        if kept is not None and kept.digest != record.digest:
            outcome = Outcome.EXPIRED
        elif kept is None and errand.method == "HEAD":
            outcome = Outcome.MISS
        else:
            outcome = Outcome.REVALIDATED
        given = await self._give(question, record, outcome)
        if isinstance(given, Given) and self._says_more(question, kept, record):
            noted = evolve(record, size=given.size)
            self._index.note_tag(
                errand.registry, question.repository, question.tag, errand.accept.group, noted
            )
        return given

    def _says_more(self, question: _Question, kept: TagRecord | None, record: TagRecord) -> bool:
        """Where no tag is believed anyway, the time of the registry's last word is not worth a write."""
        is_believed = question.lifetime > 0
        return (
            is_believed
            or kept is None
            or evolve(kept, asked_at=0.0, size=None) != evolve(record, asked_at=0.0, size=None)
        )

    async def _give(self, question: _Question, record: TagRecord, outcome: Outcome) -> Given | Relayed:
        errand = question.errand
        if errand.method == "HEAD":
            size = self._contents.size(record.digest) or record.size
            return Given(record.digest, record.media_type, size, None, outcome, question.cache_type)
        return await self._manifests.give(
            errand, question.repository, record.digest, question.cache_type, record.media_type, outcome
        )
