"""
Contents: blobs and manifests by digest.

What is kept is given, what is on its way is joined, and the rest is fetched once, however many ask.
"""

from collections.abc import Coroutine
from enum import Enum
from functools import partial
from typing import Any, ClassVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from registryproxy.errors import StoreUnavailable
from registryproxy.flight import SingleFlight
from registryproxy.interfaces import Errand, IBlobSource, IBlobStore, InThread, IUpstreamAnswer
from registryproxy.oci.accept import EVERY_KIND, SCHEMA1_SIGNED, Accept
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.policy import redirects
from registryproxy.policy.outcome import Outcome
from registryproxy.pull.access import Access
from registryproxy.pull.asking import OK, Asker, HeldAnswer
from registryproxy.pull.download import Download
from registryproxy.wire.headers import Fields


class Kind(Enum):
    """What a digest names, as the paths of the registry API write it."""

    BLOB = "blobs"
    MANIFEST = "manifests"


_PARTIAL = 206


@frozen
class Found:
    """Content that may be given to the client; whoever gets it closes its source."""

    source: IBlobSource
    outcome: Outcome


@frozen
class Described:
    """What a HEAD is answered with."""

    size: int | None
    media_type: str | None
    outcome: Outcome


@frozen
class _Started:
    """A download has begun, and perhaps has already ended, one way or the other."""

    download: Download


@frozen
class _Unkept:
    """It cannot be kept now, or ever: whoever wants it fetches it for himself."""


@frozen
class _Refused:
    """The registry did not give it to these credentials; to others it may."""

    asked_as: tuple[object, ...]
    answer: HeldAnswer


@define(eq=False)
class Contents:
    """Content by digest, for those who may have it."""

    _log: ClassVar[Logger] = Logger()

    _store: IBlobStore
    _asker: Asker
    _access: Access
    _in_thread: InThread
    _downloads: dict[Digest, tuple[Download, "Deferred[None]"]] = field(factory=dict, init=False)
    _opening: "SingleFlight[Digest, _Started | _Unkept | _Refused]" = field(factory=SingleFlight, init=False)

    async def obtain(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> Found | IUpstreamAnswer:
        """
        Find content, or fetch it; where the registry does not give it to this client, return its answer.

        @raise UpstreamError: if it is not kept and the registry cannot be asked.
        """
        fetched = False
        while True:
            found = self._at_hand(digest, fetched)
            if found is not None:
                return await self._if_allowed(found, errand, repository, digest, kind)
            leads = not self._opening.is_flying(digest)
            opened = await self._opening.join(digest, partial(self._open, errand, repository, digest, kind))
            if isinstance(opened, _Unkept):
                return await self._get(errand, repository, digest, kind)
            if isinstance(opened, _Refused) and opened.asked_as == self._asked_as(errand, repository, kind):
                return opened.answer
            if isinstance(opened, _Started):
                opened.download.raise_failure()
                fetched = leads

    async def describe(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> Described | IUpstreamAnswer:
        """
        Tell of content what a HEAD asks for; a HEAD never becomes a GET.

        @raise UpstreamError: if it is not kept and the registry cannot be asked.
        """
        found = self._at_hand(digest)
        if found is not None:
            allowed = await self._if_allowed(found, errand, repository, digest, kind)
            if not isinstance(allowed, Found):
                return allowed
            allowed.source.close()
            return Described(allowed.source.size, None, allowed.outcome)
        answer = await self._asker.ask(
            errand, "HEAD", _target(repository, digest, kind), _accept(errand, kind)
        )
        if answer.status != OK:
            return answer
        media_type = media_type_in(answer.fields)
        answer.abandon()
        self._accepted(errand, repository, digest, kind, answer)
        return Described(answer.length, media_type, Outcome.MISS)

    def is_kept(self, digest: Digest) -> bool:
        """Tell whether content lies whole in the store."""
        return self._store.size(digest) is not None

    def size(self, digest: Digest) -> int | None:
        """Tell the bytes of content that lies whole in the store."""
        return self._store.size(digest)

    async def keep(self, digest: Digest, content: bytes) -> None:
        """
        Keep content that is at hand; a disk that does not take it is no error.

        @raise ContentMismatch: if it is not what its digest promises.
        """
        try:
            writer = self._store.begin(digest)
        except StoreUnavailable as e:
            self._log.warn("{reason}", reason=str(e))
            return
        try:
            await self._in_thread(writer.append, content)
            await self._in_thread(writer.verify)
            await self._in_thread(writer.publish)
        except StoreUnavailable as e:
            self._log.warn("{reason}", reason=str(e))
        finally:
            writer.abandon()

    async def stop(self) -> None:
        """Let what is whole be published, and drop what is not."""
        underway = list(self._downloads.values())  # each leaves the dictionary when it ends
        for download, _ in underway:
            download.stop()
        await gatherResults([ended for _, ended in underway])

    def _at_hand(self, digest: Digest, fetched: bool = False) -> Found | None:
        """
        Open what is kept or on its way.

        @param fetched: on behalf of the very client that now asks.
        """
        if digest in self._downloads:
            download = self._downloads[digest][0]
            if not download.has_failed:
                joined = Outcome.HIT if download.is_whole else Outcome.UPDATING
                try:
                    return Found(download.open_source(), Outcome.MISS if fetched else joined)
                except OSError as e:
                    # No descriptor is left: upstream can be asked in any case.
                    self._log.warn(
                        "{digest} cannot be read: {reason}", digest=str(digest), reason=str(e.strerror)
                    )
                    return None
        source = self._store.find(digest)
        return None if source is None else Found(source, Outcome.MISS if fetched else Outcome.HIT)

    async def _if_allowed(
        self, found: Found, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> Found | IUpstreamAnswer:
        """Return what was found, or, where the registry does not allow it to this client, its refusal."""
        if self._access.may_have(errand, repository, digest):
            return found
        try:
            answer = await self._first_byte(errand, repository, digest, kind)
        except BaseException:
            found.source.close()
            raise
        if answer.status not in {OK, _PARTIAL}:
            found.source.close()
            refusal = HeldAnswer.of_head(answer)
            return refusal if errand.method == "HEAD" else refusal.as_refusal()
        answer.abandon()
        self._accepted(errand, repository, digest, kind, answer)
        return found

    async def _first_byte(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> IUpstreamAnswer:
        """
        Ask whether the registry would give content to this client.

        It is asked by HEAD.  Where that is redirected, the signature for a GET would not fit a HEAD, and the
        redirect itself proves nothing, for some registries send everybody on, whatever is asked for: so what it
        leads to is asked for its first byte.
        """
        target, accept = _target(repository, digest, kind), _accept(errand, kind)
        answer = await self._asker.ask(errand, "HEAD", target, accept, follow=False)
        if answer.status not in redirects.STATUSES:
            return answer
        answer.abandon()
        return await self._asker.ask(errand, "GET", target, accept, first_byte=True)

    async def _open(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> _Started | _Unkept | _Refused:
        """Ask the registry for content, and let a download begin."""
        try:
            writer = self._store.begin(digest)
        except StoreUnavailable as e:
            self._log.warn("{reason}", reason=str(e))
            return _Unkept()
        try:
            answer = await self._get(errand, repository, digest, kind)
            if answer.status != OK:
                writer.abandon()
                return _Refused(self._asked_as(errand, repository, kind), await HeldAnswer.of(answer))
            if media_type_in(answer.fields) == SCHEMA1_SIGNED:  # whose digest is not that of its bytes
                writer.abandon()
                answer.abandon()
                return _Unkept()
        except BaseException:
            writer.abandon()
            raise
        download = Download(digest, answer.length, writer, self._in_thread)
        ended = Deferred.fromCoroutine(self._until_kept(download))
        self._downloads[digest] = download, ended
        self._accepted(errand, repository, digest, kind, answer)
        answer.deliver(download)
        return _Started(download)

    async def _until_kept(self, download: Download) -> None:
        try:
            await download.keep()
        finally:
            # A reader that was told of a failure may have begun the next download already.
            if self._downloads.get(download.digest, (None,))[0] is download:
                del self._downloads[download.digest]

    def _get(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind
    ) -> Coroutine["Deferred[Any]", Any, IUpstreamAnswer]:
        return self._asker.ask(errand, "GET", _target(repository, digest, kind), _accept(errand, kind))

    def _accepted(
        self, errand: Errand, repository: Repository, digest: Digest, kind: Kind, answer: IUpstreamAnswer
    ) -> None:
        media_type = media_type_in(answer.fields) if kind is Kind.MANIFEST and answer.status == OK else None
        self._access.accepted(errand, repository, digest, media_type)

    def _asked_as(self, errand: Errand, repository: Repository, kind: Kind) -> tuple[object, ...]:
        return self._access.key(errand), errand.registry, repository, kind


def media_type_in(fields: Fields) -> str | None:
    """Return the media type of an answer, without its parameters: no manifest has a charset."""
    return (fields.get("content-type") or "").partition(";")[0].strip() or None


def _target(repository: Repository, digest: Digest, kind: Kind) -> str:
    return f"/v2/{repository}/{kind.value}/{digest}"


def _accept(errand: Errand, kind: Kind) -> str | None:
    """
    Ask for a manifest by digest as somebody who takes every kind.

    It is immutable and shared with clients that take other kinds; whether this client takes it is for us to see.
    """
    if kind is Kind.BLOB:
        return None
    ranges = dict.fromkeys([*EVERY_KIND, *errand.accept.ranges])
    return str(Accept(tuple(ranges)))
