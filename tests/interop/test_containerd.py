"""Pulls by containerd."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.containerd import Containerd
from tests.interop.needs import reason_to_skip


class ContainerdTests(contract.PullContract):
    """What every client does, done by containerd."""

    skip = reason_to_skip("containerd", "ctr", "tar")

    def bring_client(self) -> Containerd:
        """Bring containerd."""
        return Containerd.visiting(self.lab)
