"""podman, which pulls what it runs."""

from __future__ import annotations

import json
from collections.abc import Collection

from attrs import define

from tests.interop.clients.vfs_engine import VfsEngine
from tests.interop.images import Pulled


@define(eq=False)
class Podman(VfsEngine):
    """C{podman pull}; nothing is ever run."""

    def pull(self, name: str) -> None:
        """Pull an image."""
        self._podman("pull", "--quiet", name)

    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """Ask podman for the names, and look into the mounted image."""
        (image,) = json.loads(self._podman("image", "inspect", name))
        files = self.files_in(self._podman("image", "mount", name), paths)
        return Pulled(image["Digest"], f"sha256:{image['Id']}", files)

    def _podman(self, *words: str) -> bytes:
        return self.engine("podman", f"--tmpdir={self.store}/tmp", "--events-backend=none", *words)
