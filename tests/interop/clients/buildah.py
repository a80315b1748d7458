"""buildah, which pulls what it builds upon."""

from __future__ import annotations

import json
from collections.abc import Collection

from attrs import define

from tests.interop.clients.vfs_engine import VfsEngine
from tests.interop.images import Pulled


@define(eq=False)
class Buildah(VfsEngine):
    """C{buildah pull}, and C{buildah from} to look at what came."""

    def pull(self, name: str) -> None:
        """Pull an image."""
        self._buildah("pull", "--quiet", name)

    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """Make a working container of the image, without pulling again, and look into it."""
        container = self._buildah("from", "--pull-never", name).decode().strip()
        told = json.loads(self._buildah("inspect", container))
        files = self.files_in(self._buildah("mount", container), paths)
        return Pulled(told["FromImageDigest"], f"sha256:{told['FromImageID']}", files)

    def _buildah(self, *words: str) -> bytes:
        return self.engine("buildah", *words)
