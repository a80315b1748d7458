"""Pulls by docker."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.docker import Docker
from tests.interop.needs import reason_to_skip


class DockerTests(contract.PullContract):
    """What every client does, done by docker."""

    skip = reason_to_skip("docker", "dockerd", "containerd")

    def bring_client(self) -> Docker:
        """Bring docker."""
        return Docker.visiting(self.lab)
