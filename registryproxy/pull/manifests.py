"""
Manifests: by digest, whole and verified before the first byte is given.

They are small and clients parse them at once: one that does not fit its digest is better told by an error than by a
connection that breaks.
"""

from attrs import frozen

from registryproxy.interfaces import Errand, Given, IBlobSource, IIndex, Relayed
from registryproxy.oci.digest import Digest
from registryproxy.oci.manifest import MAX_MANIFEST_BYTES, media_type_of
from registryproxy.oci.names import Repository
from registryproxy.policy.outcome import CacheType, Outcome
from registryproxy.pull.asking import Asker
from registryproxy.pull.contents import Contents, Described, Found, Kind

_THE_END = 1 << 62
"""An offset beyond any content: whoever waits for it waits for the end."""


@frozen(eq=False)
class Manifests:
    """Manifests by digest."""

    _index: IIndex
    _asker: Asker
    _contents: Contents

    async def by_digest(self, errand: Errand, repository: Repository, digest: Digest) -> Given | Relayed:
        """
        Give a manifest, if it is of a kind that the client takes; else let the registry answer.

        @raise UpstreamError: if it is not kept and cannot be had.
        """
        if errand.method == "HEAD":
            given = await self._describe(errand, repository, digest)
        else:
            given = await self.give(errand, repository, digest, CacheType.MANIFEST_BY_DIGEST)
        if isinstance(given, Relayed) or errand.accept.takes(given.media_type):
            return given
        if given.source is not None:
            given.source.close()
        target = f"/v2/{repository}/manifests/{digest}"
        answer = await self._asker.ask(errand, errand.method, target, str(errand.accept))
        return Relayed(answer, CacheType.MANIFEST_BY_DIGEST)

    async def give(
        self,
        errand: Errand,
        repository: Repository,
        digest: Digest,
        cache_type: CacheType,
        media_type: str | None = None,
        tag_outcome: Outcome | None = None,
    ) -> Given | Relayed:
        """
        Give a manifest to a GET.

        @param media_type: as the registry said it; if it did not, it is looked up.
        @param tag_outcome: how the tag that led here was resolved.
        @raise UpstreamError: if it is not kept and cannot be had, or does not fit its digest.
        """
        found = await self._contents.obtain(errand, repository, digest, Kind.MANIFEST)
        if not isinstance(found, Found):
            return Relayed(found, cache_type)
        source = found.source
        try:
            await source.when_beyond(_THE_END)
            known = (
                media_type
                or self._index.media_type(errand.registry, repository, digest)
                or _read_type(source)
            )
        except BaseException:
            source.close()
            raise
        return Given(digest, known, source.size, source, _joint(tag_outcome, found.outcome), cache_type)

    async def _describe(self, errand: Errand, repository: Repository, digest: Digest) -> Given | Relayed:
        described = await self._contents.describe(errand, repository, digest, Kind.MANIFEST)
        if not isinstance(described, Described):
            return Relayed(described, CacheType.MANIFEST_BY_DIGEST)
        media_type = described.media_type or self._index.media_type(errand.registry, repository, digest)
        if media_type is None:  # kept, but the index was lost
            given = await self.give(errand, repository, digest, CacheType.MANIFEST_BY_DIGEST)
            if isinstance(given, Relayed):
                return given
            media_type = given.media_type
            if given.source is not None:
                given.source.close()
        return Given(
            digest, media_type, described.size, None, described.outcome, CacheType.MANIFEST_BY_DIGEST
        )


def _read_type(source: IBlobSource) -> str:
    return media_type_of(source.read(0, MAX_MANIFEST_BYTES))


def _joint(tag: Outcome | None, content: Outcome) -> Outcome:
    """Say in one word how a tag was resolved and where its manifest came from."""
    if tag is None or (
        content in {Outcome.MISS, Outcome.UPDATING} and tag in {Outcome.HIT, Outcome.REVALIDATED}
    ):
        return content
    return tag
