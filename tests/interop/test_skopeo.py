"""Pulls by skopeo."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.skopeo import Skopeo
from tests.interop.needs import reason_to_skip


class SkopeoTests(contract.PullContract):
    """What every client does, done by skopeo."""

    skip = reason_to_skip("skopeo")

    def bring_client(self) -> Skopeo:
        """Bring skopeo."""
        return Skopeo.visiting(self.lab)
