"""The proxy under test, started as an operator starts it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.interop.processes import Daemon, Sandbox

_PORT = 3128

#: Seconds for which one request may be silent.
_SILENCE = 30.0


@define(eq=False)
class Proxy:
    """
    C{twistd registryproxy} in a process of its own.

    @ivar address: the loopback address that it listens at.
    """

    address: str
    _folder: Path
    _settings: dict[str, str]
    _sandbox: Sandbox
    _daemon: Daemon | None = field(default=None, init=False)

    @classmethod
    def create(
        cls, address: str, folder: Path, registries: Iterable[str], upstream_ca: Path, sandbox: Sandbox
    ) -> Proxy:
        """
        Start a proxy with an empty cache and no CA yet.

        @param registries: what to intercept.
        @param upstream_ca: a PEM file with who signed the registries' certificates.
        @param sandbox: where the hosts file says at which addresses the registries are.
        """
        folder.mkdir()
        settings = {
            "LISTEN": f"tcp:{_PORT}:interface={address}",
            "CACHE_DIR": str(folder / "cache"),
            "CA_DIR": str(folder / "ca"),
            "REGISTRIES": " ".join(registries),
            "UPSTREAM_CA_FILE": str(upstream_ca),
            "LOG_FORMAT": "json",
        }
        proxy = cls(address, folder, settings, sandbox)
        proxy.start()
        return proxy

    @property
    def url(self) -> str:
        """Return what clients have in HTTPS_PROXY."""
        return f"http://{self.address}:{_PORT}"

    @property
    def ca_file(self) -> Path:
        """Return the file that has what the proxy gives away as its CA."""
        return self._folder / "given-ca.crt"

    def start(self) -> None:
        """Start the proxy, with what its folders hold, and fetch its CA as a client's owner would."""
        twistd = Path(sys.executable).with_name("twistd")
        environment = {"HOME": str(self._folder), **self._settings}
        if "PYTHONPATH" in os.environ:  # whoever tests a checkout without installing it
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        command = [sys.executable, str(twistd), "--nodaemon", "--pidfile=", "registryproxy"]
        self._daemon = Daemon.start(command, environment, self._log, self._sandbox)
        self._daemon.wait_until(lambda: self._ask("/readyz")[0] == 200)
        self.ca_file.write_bytes(self._ask("/ca.crt")[1])

    def stop(self) -> None:
        """End the proxy as a service manager does, which lets it put its things in order."""
        if self._daemon is not None:
            self._daemon.stop()

    def kill(self) -> None:
        """End the proxy, whatever it is doing."""
        if self._daemon is not None:
            self._daemon.kill()

    def words(self) -> str:
        """Return all that the proxy has written to its standard output and error."""
        return self._log.read_text(errors="replace")

    def journal(self) -> list[dict[str, Any]]:
        """Return what the proxy has logged in JSON until now."""
        return [json.loads(line) for line in self.words().splitlines() if line.startswith("{")]

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection(self.address, _PORT, timeout=_SILENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
