"""
Where things lie on disk::

    CACHE_DIR/
      blobs/sha256/ab/<64 hex>      whole, verified, immutable; manifests live here too
      blobs/sha512/ab/<128 hex>
      incoming/<digest>.part        growing; its writer holds a lock on it
      index.sqlite                  derivable: tags, media types, who holds what

A name under C{blobs} appears by rename, after verification and fsync; nothing is ever written under it.
"""

from pathlib import Path

from attrs import frozen

from registryproxy.errors import InvalidDigest
from registryproxy.oci.digest import Digest


@frozen
class Layout:
    """The one place where paths are made."""

    root: Path

    @property
    def incoming(self) -> Path:
        """The folder of what is not whole yet."""
        return self.root / "incoming"

    @property
    def index(self) -> Path:
        """The index file."""
        return self.root / "index.sqlite"

    def blob(self, digest: Digest) -> Path:
        """
        Tell where verified content lies.

        @raise InvalidDigest: if the digest's algorithm is not known here, for then its text is not known to be
            harmless as a path.
        """
        if not digest.is_known:
            raise InvalidDigest(f"nothing is kept under the algorithm {digest.algorithm!r}")
        return self.root / "blobs" / digest.algorithm / digest.encoded[:2] / digest.encoded

    def part(self, digest: Digest) -> Path:
        """
        Tell where content grows.

        @raise InvalidDigest: as L{blob}.
        """
        return self.incoming / f"{digest.algorithm}:{self.blob(digest).name}.part"
