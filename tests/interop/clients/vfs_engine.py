"""What podman and buildah share: their storage, which is plain folders here, and its settings."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from attrs import define

from tests.interop.clients.client import Client
from tests.interop.images import digest_of

_SETTINGS = """
[network]
network_config_dir = "{store}/networks"
"""


@define(eq=False)
class VfsEngine(Client):
    """A client whose layers lie unpacked in folders, one for each, which stay when its namespace is gone."""

    def begin(self) -> None:
        """Keep the engine from making its folder for networks in the machine's C{/etc}."""
        settings = self.scratch / "containers.conf"
        settings.write_text(_SETTINGS.format(store=self.store))
        self.environment["CONTAINERS_CONF"] = str(settings)
        super().begin()

    def engine(self, program: str, *words: str) -> bytes:
        """Run C{program}, podman or buildah, on our own storage."""
        places = [f"--root={self.store}/root", f"--runroot={self.store}/run"]
        return self.run(program, "--storage-driver=vfs", *places, *words)

    def files_in(self, mounted: bytes, paths: Collection[str]) -> dict[str, str]:
        """
        Return the digest of each file of C{paths} that is there.

        @param mounted: what the engine printed when it was told to mount an image.
        """
        folder = Path(mounted.decode().strip())
        return {path: digest_of((folder / path).read_bytes()) for path in paths if (folder / path).is_file()}
