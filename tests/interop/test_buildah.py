"""Pulls by buildah."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.buildah import Buildah
from tests.interop.needs import reason_to_skip


class BuildahTests(contract.PullContract):
    """What every client does, done by buildah."""

    skip = reason_to_skip("buildah")

    def bring_client(self) -> Buildah:
        """Bring buildah."""
        return Buildah.visiting(self.lab)
