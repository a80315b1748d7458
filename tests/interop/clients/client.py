"""What a test asks of a client, and what all clients here have in common."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Self

from attrs import define, field

from tests.interop.images import Pulled
from tests.interop.lab import Lab
from tests.interop.processes import Daemon, Sandbox, run


@define(eq=False)
class Client(ABC):
    """
    A client with an empty store, in a folder of its own, which has nothing but the proxy to pull through.

    @ivar scratch: the folder; nothing else can be written to by the client's programs.
    @ivar store: the part of it that holds what was pulled.
    @ivar sandbox: where the client's programs run.
    @ivar environment: what they see.
    """

    scratch: Path
    store: Path = field(init=False)
    sandbox: Sandbox
    environment: dict[str, str]
    _daemon: Daemon | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Make the folders, and start the daemon."""
        self.store = self.scratch / "store"
        for folder in (self.store, self.scratch / "no-certificates"):
            folder.mkdir()
        self.begin()

    @classmethod
    def visiting(cls, lab: Lab, name: str = "client") -> Self:
        """
        Bring a client to a laboratory.

        @param name: what to call its folder.
        """
        scratch = lab.scratch / name
        scratch.mkdir()
        folder = str(scratch)
        environment = {
            "HOME": folder,
            "TMPDIR": folder,
            "XDG_RUNTIME_DIR": folder,
            "HTTPS_PROXY": lab.proxy.url,
            # All of them are written in Go, and trust what these name, and nothing else: not the laboratory's CA.
            "SSL_CERT_FILE": str(lab.proxy.ca_file),
            "SSL_CERT_DIR": str(scratch / "no-certificates"),
        }
        return cls(scratch, lab.client_sandbox(scratch), environment)

    @abstractmethod
    def pull(self, name: str) -> None:
        """
        Pull the image called C{name}.

        @raise AssertionError: if the client could not, with its words.
        """

    @abstractmethod
    def pulled(self, name: str, paths: Collection[str]) -> Pulled:
        """
        Look up what the client has now under a name that it pulled.

        @param paths: the files to look for among what was unpacked.
        """

    def wipe(self) -> None:
        """Make the client forget everything that it ever pulled."""
        self.end()
        shutil.rmtree(self.store)
        self.store.mkdir()
        self.begin()

    def daemon_command(self) -> list[str]:
        """Return what must run all the while for this client: nothing, for most."""
        return []

    def is_up(self) -> bool:
        """Tell whether the daemon can be talked to."""
        return True

    def begin(self) -> None:
        """Start the daemon, if there is one, on the store."""
        command = self.daemon_command()
        if command:
            self._daemon = Daemon.start(command, self.environment, self.scratch / "log", self.sandbox)
            self._daemon.wait_until(self.is_up)

    def end(self) -> None:
        """Kill the daemon: what it has is wiped anyhow."""
        if self._daemon is not None:
            self._daemon.kill()

    def run(self, *command: str) -> bytes:
        """Run one of the client's programs to its end, and return what it printed."""
        return run(command, self.environment, self.sandbox)
