"""
Access: who may be given what is kept.

Content that a registry gave to somebody without credentials is everybody's.  The rest is given to whom the
registry itself has accepted: for this repository, with these credentials, not long ago, and only if the content is
known to belong to that repository; a digest alone opens nothing.
"""

import hmac
import secrets

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from registryproxy.interfaces import Errand, IIndex
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.wire.authority import Authority

REMEMBERED_SECONDS = 300.0
"""For how long a registry's word on somebody's credentials is believed."""
_MAX_REMEMBERED = 100_000

_Grant = tuple[bytes, Authority, Repository]


@define(eq=False)
class Access:
    """
    The registry's word on who may read what.

    @ivar is_checked: if not, everything is given to everybody, as the setting C{PRIVATE_IMAGES=shared} says.
    """

    _index: IIndex
    _clock: IReactorTime
    is_checked: bool = True
    # Never the credentials themselves, and nothing that could be compared with a list of known ones.
    _salt: bytes = field(factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _granted_at: dict[_Grant, float] = field(factory=dict, init=False, repr=False)

    def may_have(self, errand: Errand, repository: Repository, digest: Digest) -> bool:
        """Tell whether the content may be given without asking; if not, only the registry knows."""
        if not self.is_checked or self._index.is_public(digest):
            return True
        if errand.authorization is None:
            return False
        granted_at = self._granted_at.get(self._grant(errand.authorization, errand.registry, repository))
        return (
            granted_at is not None
            # Not negative either: a clock may have been set back.
            and 0 <= self._clock.seconds() - granted_at < REMEMBERED_SECONDS
            and self._index.holds(errand.registry, repository, digest)
        )

    def accepted(
        self, errand: Errand, repository: Repository, digest: Digest, media_type: str | None = None
    ) -> None:
        """
        Remember that the registry gave, or would give, this content to whoever is on this errand.

        @param media_type: for manifests.
        """
        self._index.note_held(
            errand.registry, repository, digest, media_type, public=errand.authorization is None
        )
        if errand.authorization is not None:
            grant = self._grant(errand.authorization, errand.registry, repository)
            self._granted_at.pop(grant, None)  # so that the dictionary stays in the order of time
            self._granted_at[grant] = self._clock.seconds()
            if len(self._granted_at) > _MAX_REMEMBERED:
                del self._granted_at[next(iter(self._granted_at))]

    def key(self, errand: Errand) -> bytes:
        """Tell one client's credentials from another's, without having them."""
        return b"" if errand.authorization is None else self._digest(errand.authorization)

    def _grant(self, authorization: str, registry: Authority, repository: Repository) -> _Grant:
        return self._digest(authorization), registry, repository

    def _digest(self, authorization: str) -> bytes:
        return hmac.digest(self._salt, authorization.encode("latin-1"), "sha256")
