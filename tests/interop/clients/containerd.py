"""containerd, told to pull by its own command line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from typing import Any

from attrs import define

from tests.interop.clients.client import Client
from tests.interop.images import Pulled, files_of, this_architecture

_SETTINGS = """
version = 2
root = "{store}/root"
state = "{store}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{store}/socket"
[ttrpc]
  address = "{store}/socket.ttrpc"
"""


@define(eq=False)
class Containerd(Client):
    """
    C{ctr images pull}.

    HTTPS_PROXY stands in the environment of both: up to 1.7 it is ctr that talks to the registry, later the daemon.
    """

    def daemon_command(self) -> list[str]:
        """Write its settings, and return the daemon."""
        settings = self.scratch / "containerd.toml"
        settings.write_text(_SETTINGS.format(store=self.store))
        return ["containerd", "--config", str(settings)]

    def is_up(self) -> bool:
        """Ask the daemon for its version."""
        try:
            self._ctr("version")
        except AssertionError:
            return False
        return True

    def pull(self, name: str) -> None:
        """Pull an image, and unpack it."""
        self._ctr("images", "pull", "--snapshotter=native", name)

    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """Ask for the names, and mount what was unpacked for as long as it takes to read it."""
        manifest = self._digest_of(name)
        parts = self._content(manifest)
        if "manifests" in parts:
            entries = parts["manifests"]
            here = next(one for one in entries if one["platform"]["architecture"] == this_architecture())
            parts = self._content(here["digest"])
        place = tempfile.mkdtemp(dir=self.store)
        mount = [*self._ctr_words, "images", "mount", "--snapshotter=native", name, place]
        script = '"$@" >&2; exec tar --create --file=- --directory="$0" .'
        archive = self.run("sh", "-euc", script, place, *mount)
        return Pulled(manifest, parts["config"]["digest"], files_of([archive], paths))

    def _digest_of(self, name: str) -> str:
        rows = [line.split() for line in self._ctr("images", "list", f"name=={name}").decode().splitlines()]
        return next(word for word in rows[1] if word.startswith("sha256:"))

    def _content(self, digest: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._ctr("content", "get", digest))
        return content

    @property
    def _ctr_words(self) -> list[str]:
        return ["ctr", f"--address={self.store}/socket"]

    def _ctr(self, *words: str) -> bytes:
        return self.run(*self._ctr_words, *words)
