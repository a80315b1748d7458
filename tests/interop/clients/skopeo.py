"""skopeo, which copies images and unpacks none."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection
from pathlib import Path

from attrs import define, field

from tests.interop.clients.client import Client
from tests.interop.images import Pulled, digest_of, files_of


@define(eq=False)
class Skopeo(Client):
    """
    Pulls by copying into a folder, where every part lies as it came.

    @ivar credentials: C{user:password} to pull with, or nothing.
    """

    credentials: str = field(default="", kw_only=True)

    def pull(self, name: str) -> None:
        """Copy an image; of an index, the one for this machine."""
        words = [f"--src-creds={self.credentials}"] if self.credentials else []
        self.run("skopeo", "copy", "--quiet", *words, f"docker://{name}", f"dir:{self._folder(name)}")

    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """Read the folder."""
        folder = self._folder(name)
        manifest = (folder / "manifest.json").read_bytes()
        parts = json.loads(manifest)
        layers = [_part(folder, layer["digest"]) for layer in parts["layers"]]
        files = files_of([gzip.decompress(layer) for layer in layers], paths)
        return Pulled(digest_of(manifest), digest_of(_part(folder, parts["config"]["digest"])), files)

    def _folder(self, name: str) -> Path:
        return self.store / digest_of(name.encode()).removeprefix("sha256:")


def _part(folder: Path, digest: str) -> bytes:
    return (folder / digest.removeprefix("sha256:")).read_bytes()
