"""Debian's docker-registry as an upstream: started, stopped, filled, and overheard."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import define, field, frozen

from tests.interop.images import Image, Index
from tests.interop.processes import Daemon, Sandbox
from tests.interop.push import Uploader
from tests.support.lab_ca import LabCA

#: The registry says this, at level debug, of each request before it answers: whoever has an answer finds it in the log.
_ASKED = "authorizing request"

_SETTINGS = """
version: 0.1
log: {{level: debug, formatter: json, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http:
  addr: {address}:{port}
  tls: {{certificate: {folder}/leaf.crt, key: {folder}/leaf.key}}
"""

#: Added for a registry that is locked.
_LOCK = "auth: {{htpasswd: {{realm: lab, path: {folder}/htpasswd}}}}\n"

#: Who may read and write there: the same words, once for clients and once, as bcrypt leaves them, for the registry.
CREDENTIALS = "ali:open sesame"
_HTPASSWD = "ali:$2b$04$KCIKDzaQlzM7OJhERwVLKua7C3f2sHcGSUxVyh7AOTrazXkaRiwna\n"


@frozen
class Asked:
    """
    One request that reached the registry.

    @ivar target: path and query, as the log has them.
    """

    method: str
    target: str

    @property
    def is_fetch(self) -> bool:
        """Tell whether this asks for the bytes of a blob or of a manifest."""
        return self.method == "GET" and ("/blobs/" in self.target or "/manifests/" in self.target)


@define(eq=False)
class Registry:
    """
    A registry in a folder of its own.

    @ivar host: the name that images have it under.
    @ivar address: the loopback address that only the proxy knows to belong to C{host}.
    @ivar port: 443, and then image names go without it, or another.
    """

    host: str
    address: str
    port: int
    _folder: Path
    _sandbox: Sandbox
    _uploader: Uploader
    _daemon: Daemon | None = field(default=None, init=False)
    _forgotten: int = field(default=0, init=False)

    @classmethod
    def create(
        cls,
        authority: tuple[str, str, int],
        folder: Path,
        ca: LabCA,
        sandbox: Sandbox,
        *,
        is_locked: bool = False,
    ) -> Registry:
        """
        Write down what a registry needs, and start it.

        @param authority: its host name, address and port.
        @param folder: to be made for it.
        @param is_locked: open it to nobody but who has the L{CREDENTIALS}.
        """
        host, address, port = authority
        folder.mkdir()
        certificate, key = ca.leaf_pem(host, address)
        (folder / "leaf.crt").write_bytes(certificate)
        (folder / "leaf.key").write_bytes(key)
        (folder / "htpasswd").write_text(_HTPASSWD)
        settings = _SETTINGS + _LOCK if is_locked else _SETTINGS
        (folder / "settings.yml").write_text(settings.format(folder=folder, address=address, port=port))
        uploader = Uploader.to(address, port, ca, CREDENTIALS if is_locked else "")
        registry = cls(host, address, port, folder, sandbox, uploader)
        registry.start()
        return registry

    @property
    def authority(self) -> str:
        """Return how image names and the proxy's REGISTRIES speak of this registry."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    def name(self, repository: str, reference: str) -> str:
        """Return the name of an image here, for a client; C{reference} is a tag or a digest."""
        return f"{self.authority}/{repository}{'@' if ':' in reference else ':'}{reference}"

    def start(self) -> None:
        """Start the registry, with all that was ever pushed to it."""
        command = ["docker-registry", "serve", str(self._folder / "settings.yml")]
        self._daemon = Daemon.start(command, {}, self._log, self._sandbox)
        self._daemon.wait_until(self._uploader.is_served)

    def stop(self) -> None:
        """Stop the registry: from now on nobody listens at its address."""
        if self._daemon is not None:
            self._daemon.kill()

    def push(self, repository: str, tag: str, pushed: Image | Index) -> None:
        """Put an image, or an index with its images, in a repository, and forget that this was asked."""
        images = (pushed,) if isinstance(pushed, Image) else pushed.images
        for image in images:
            for blob in image.blobs:
                self._uploader.put_blob(repository, blob)
            self._uploader.put_manifest(repository, image.manifest.digest, image.manifest)
        self._uploader.put_manifest(repository, tag, pushed.manifest)
        self.forget()

    def forget(self) -> None:
        """Leave out of L{asked} whatever was asked until now."""
        self._forgotten = len(self._overheard())

    def asked(self) -> list[Asked]:
        """Return what has been asked since L{forget}, in order."""
        return self._overheard()[self._forgotten :]

    def fetches(self) -> list[Asked]:
        """Return which blobs and manifests have been asked for, by GET, since L{forget}."""
        return [one for one in self.asked() if one.is_fetch]

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _overheard(self) -> list[Asked]:
        entries = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [
            Asked(entry["http.request.method"], entry["http.request.uri"])
            for entry in entries
            if entry["msg"] == _ASKED
        ]
