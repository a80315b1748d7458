"""Putting images straight into a registry over its own API, past the proxy."""

from __future__ import annotations

import ssl
from base64 import b64encode
from contextlib import closing
from http.client import HTTPSConnection
from urllib.parse import quote, urlsplit

from attrs import field, frozen

from tests.interop.images import Blob
from tests.support.lab_ca import LabCA

#: Seconds for which one request may be silent.
_SILENCE = 30.0


@frozen
class Uploader:
    """Someone who may write to the registry at an address."""

    _address: str
    _port: int
    _trust: ssl.SSLContext = field(repr=False)
    _headers: dict[str, str]

    @classmethod
    def to(cls, address: str, port: int, ca: LabCA, credentials: str = "") -> Uploader:
        """
        Make one that believes the certificates of C{ca} and no others.

        @param credentials: C{user:password}, or nothing.
        """
        basic = b64encode(credentials.encode()).decode()
        headers = {"Authorization": f"Basic {basic}"} if credentials else {}
        return cls(address, port, ssl.create_default_context(cadata=ca.pem().decode()), headers)

    def is_served(self) -> bool:
        """
        Tell whether the registry answers.

        @raise OSError: if nobody listens.
        """
        return self._ask("GET", "/v2/")[0] == 200

    def put_blob(self, repository: str, blob: Blob) -> None:
        """Upload a blob in one piece."""
        status, location = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        self._insist(status, 202)
        where = urlsplit(location)
        headers = {"Content-Type": "application/octet-stream"}
        target = f"{where.path}?{where.query}&digest={quote(blob.digest)}"
        self._insist(self._ask("PUT", target, blob.content, headers)[0], 201)

    def put_manifest(self, repository: str, reference: str, manifest: Blob) -> None:
        """Upload a manifest under a tag, or under its digest."""
        headers = {"Content-Type": manifest.media_type}
        target = f"/v2/{repository}/manifests/{reference}"
        self._insist(self._ask("PUT", target, manifest.content, headers)[0], 201)

    def _ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        with closing(
            HTTPSConnection(self._address, self._port, timeout=_SILENCE, context=self._trust)
        ) as wire:
            wire.request(method, target, body, {**self._headers, **(headers or {})})
            answer = wire.getresponse()
            answer.read()
            return answer.status, answer.getheader("Location", "")

    def _insist(self, status: int, wanted: int) -> None:
        if status != wanted:
            raise AssertionError(f"the registry at {self._address} answered {status} rather than {wanted}")
