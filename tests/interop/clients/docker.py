"""Docker: the daemon with its own containerd, and the command line that tells it to pull."""

from __future__ import annotations

import json
from collections.abc import Collection

from attrs import define

from tests.interop.clients.client import Client
from tests.interop.images import Pulled, files_of
from tests.interop.processes import run


@define(eq=False)
class Docker(Client):
    """C{docker pull}, carried out by a C{dockerd} that has HTTPS_PROXY in its environment."""

    def daemon_command(self) -> list[str]:
        """Return a daemon which keeps its hands off the machine's network."""
        return [
            "dockerd",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            "--storage-driver=vfs",
            f"--data-root={self.store}/data",
            f"--exec-root={self.store}/exec",
            f"--pidfile={self.store}/pid",
            f"--host={self._endpoint}",
        ]

    def is_up(self) -> bool:
        """Ask the daemon for its version."""
        try:
            self._docker("version")
        except AssertionError:
            return False
        return True

    def pull(self, name: str) -> None:
        """Pull an image."""
        self._docker("pull", "--quiet", name)

    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """Ask the daemon for the names, and have a container, never run, exported."""
        (image,) = json.loads(self._docker("image", "inspect", name))
        container = self._docker("create", "--pull=never", name).decode().strip()
        files = files_of([self._docker("export", container)], paths)
        manifest = image["RepoDigests"][0].partition("@")[2]
        return Pulled(manifest, image["Id"], files)

    @property
    def _endpoint(self) -> str:
        return f"unix://{self.store}/socket"

    def _docker(self, *words: str) -> bytes:
        # Outside of the sandbox: it talks to the daemon's socket and to nobody else.
        return run(["docker", *words], {"HOME": str(self.scratch), "DOCKER_HOST": self._endpoint})
