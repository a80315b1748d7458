"""PullThrough: the one door of this room, behind which each kind of name has its own way."""

from attrs import frozen
from zope.interface import implementer

from registryproxy.errors import UpstreamError
from registryproxy.interfaces import Errand, Given, IPull, Relayed
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.policy.outcome import CacheType
from registryproxy.policy.statuses import is_away
from registryproxy.pull.asking import Asker
from registryproxy.pull.contents import Contents, Described, Found, Kind
from registryproxy.pull.manifests import Manifests
from registryproxy.pull.tags import Tags
from registryproxy.wire.headers import onward

_BLOB_TYPE = "application/octet-stream"


@implementer(IPull)
@frozen(eq=False)
class PullThrough:
    """What clients may have, from wherever it comes."""

    _asker: Asker
    _contents: Contents
    _manifests: Manifests
    _tags: Tags

    async def blob(self, errand: Errand, repository: Repository, digest: Digest) -> Given | Relayed:
        """See L{IPull.blob}."""
        kind = CacheType.BLOB_BY_DIGEST
        if errand.method == "HEAD":
            told = await self._contents.describe(errand, repository, digest, Kind.BLOB)
            if isinstance(told, Described):
                return Given(digest, _BLOB_TYPE, told.size, None, told.outcome, kind)
            return Relayed(told, kind)
        found = await self._contents.obtain(errand, repository, digest, Kind.BLOB)
        if isinstance(found, Found):
            return Given(digest, _BLOB_TYPE, found.source.size, found.source, found.outcome, kind)
        return Relayed(found, kind)

    async def manifest(self, errand: Errand, repository: Repository, digest: Digest) -> Given | Relayed:
        """See L{IPull.manifest}."""
        return await self._manifests.by_digest(errand, repository, digest)

    async def tagged(self, errand: Errand, repository: Repository, tag: Tag) -> Given | Relayed:
        """See L{IPull.tagged}."""
        return await self._tags.manifest(errand, repository, tag)

    async def ping(self, errand: Errand) -> Relayed | None:
        """See L{IPull.ping}."""
        try:
            answer = await self._asker.ask_with(errand, errand.method, errand.target, onward(errand.fields))
        except UpstreamError:
            return None
        if is_away(answer.status):
            answer.abandon()
            return None
        return Relayed(answer)

    async def pass_through(self, errand: Errand) -> Relayed:
        """See L{IPull.pass_through}."""
        answer = await self._asker.ask_with(errand, errand.method, errand.target, onward(errand.fields))
        return Relayed(answer)

    async def stop(self) -> None:
        """Let what is whole be kept, and drop the rest."""
        await self._contents.stop()
