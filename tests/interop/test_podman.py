"""Pulls by podman."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.podman import Podman
from tests.interop.needs import reason_to_skip


class PodmanTests(contract.PullContract):
    """What every client does, done by podman."""

    skip = reason_to_skip("podman")

    def bring_client(self) -> Podman:
        """Bring podman."""
        return Podman.visiting(self.lab)
