"""
A fake registry: a Resource, so that what is tested asks it by real HTTP.

Its nasty members say what they do.  L{FakeInternet} is several of them, told apart by C{Host}.
"""

import json
from collections.abc import Callable

from attrs import define, field, frozen
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from registryproxy.oci.accept import OCI_MANIFEST
from registryproxy.oci.digest import Digest


@frozen
class Asked:
    """One question that a registry was asked."""

    method: str
    path: str
    authorization: str | None
    accept: str | None
    fields: tuple[tuple[str, str], ...] = field(repr=False, eq=False, default=())


@define(eq=False)
class SlowBody:
    """A body that the test sends piece by piece."""

    request: Request
    content: bytes
    sent: int = 0

    def send(self, count: int) -> None:
        """Send C{count} bytes more; the end of the content ends the answer."""
        self.request.write(self.content[self.sent : self.sent + count])
        self.sent += count
        if self.sent >= len(self.content):
            self.request.finish()

    def cut(self) -> None:
        """Break the connection off."""
        self.request.loseConnection()


class FakeRegistry(Resource):
    """
    A registry in memory.

    @ivar tags: C{repository:tag} to digest.
    @ivar manifests: digest to media type and content.
    @ivar blobs: digest to content.
    @ivar asked: every question, in order.
    @ivar token: what C{Authorization} must say; None: nothing.
    @ivar broken: a status with which everything is answered.
    @ivar slow: whether blobs are only sent as L{sending} is told.
    @ivar sending: answers that wait for the test.
    """

    isLeaf = True

    def __init__(self) -> None:
        """Begin empty and friendly."""
        Resource.__init__(self)
        self.tags: dict[str, Digest] = {}
        self.manifests: dict[Digest, tuple[str, bytes]] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.asked: list[Asked] = []
        self.token: str | None = None
        self.broken: int | None = None
        self.slow = False
        self.sending: list[SlowBody] = []
        self.extra_fields: dict[str, str] = {}
        self.lies: dict[Digest, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.says_digest = True
        self.takes_head = True
        self.says_length = True
        self.other: Callable[[Request], bytes] | None = None

    # What it holds.

    def add_manifest(
        self, repository: str, tag: str | None, content: bytes, media_type: str = OCI_MANIFEST
    ) -> Digest:
        """Push a manifest, and move a tag to it."""
        digest = Digest.of(content)
        self.manifests[digest] = media_type, content
        if tag is not None:
            self.tags[f"{repository}:{tag}"] = digest
        return digest

    def add_blob(self, content: bytes, algorithm: str = "sha256") -> Digest:
        """Push a blob."""
        digest = Digest.of(content, algorithm)
        self.blobs[digest] = content
        return digest

    # What it was asked.

    def count(self, method: str, kind: str = "") -> int:
        """Count the questions of a method whose path has C{kind} in it."""
        return sum(1 for each in self.asked if each.method == method and kind in each.path)

    # What it answers.

    def render(self, request: Request) -> bytes | int:
        """Answer as a registry does."""
        path = request.uri.decode("latin-1")
        authorization = request.getHeader("authorization")
        fields = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        )
        method = request.method.decode("ascii")
        self.asked.append(Asked(method, path, authorization, request.getHeader("accept"), fields))
        request.defaultContentType = None
        for name, value in self.extra_fields.items():
            request.setHeader(name, value)
        if self.broken is not None:
            return self._error(request, self.broken, "UNKNOWN")
        if path in self.redirects:
            request.setResponseCode(307)
            request.setHeader("location", self.redirects[path])
            return self._whole(request, b"<a href='elsewhere'>elsewhere</a>")
        if self.token is not None and authorization != self.token:
            request.setHeader("www-authenticate", 'Bearer realm="https://auth.test/token",service="fake"')
            return self._error(request, 401, "UNAUTHORIZED")
        return self._content(request, path)

    def _content(self, request: Request, path: str) -> bytes | int:
        head, _, last = path.rpartition("/")
        if path in {"/v2/", "/v2"}:
            return self._whole(request, b"{}")
        if head.endswith("/manifests"):
            if request.method == b"HEAD" and not self.takes_head:
                return self._error(request, 405, "UNSUPPORTED")
            repository = head.removeprefix("/v2/").removesuffix("/manifests")
            digest = Digest.parse(last) if ":" in last else self.tags.get(f"{repository}:{last}")
            if digest is None or digest not in self.manifests:
                return self._error(request, 404, "MANIFEST_UNKNOWN")
            media_type, content = self.manifests[digest]
            request.setHeader("content-type", media_type)
            if self.says_digest:
                request.setHeader("docker-content-digest", str(digest))
            return self._whole(request, self.lies.get(digest, content))
        if head.endswith("/blobs") and Digest.parse(last) in self.blobs:
            digest = Digest.parse(last)
            request.setHeader("content-type", "application/octet-stream")
            return self._blob(request, self.lies.get(digest, self.blobs[digest]))
        if self.other is not None:
            return self.other(request)
        return self._error(request, 404, "BLOB_UNKNOWN")

    def _blob(self, request: Request, content: bytes) -> bytes | int:
        if not self.slow or request.method == b"HEAD":
            return self._whole(request, content)
        if self.says_length:
            request.setHeader("content-length", str(len(content)))
        request.write(b"")  # the head, at once
        self.sending.append(SlowBody(request, content))
        return NOT_DONE_YET

    def _whole(self, request: Request, content: bytes) -> bytes | int:
        if self.says_length or request.method == b"HEAD":
            request.setHeader("content-length", str(len(content)))
        if request.method != b"HEAD":
            request.write(content)
        request.finish()
        return NOT_DONE_YET

    def _error(self, request: Request, status: int, code: str) -> bytes | int:
        request.setResponseCode(status)
        request.setHeader("content-type", "application/json")
        return self._whole(request, json.dumps({"errors": [{"code": code, "message": "no"}]}).encode())


class FakeInternet(Resource):
    """Several registries, told apart by the name under which they are asked."""

    isLeaf = True

    def __init__(self, **registries: FakeRegistry) -> None:
        """Let C{one=} be asked as C{one.test}."""
        Resource.__init__(self)
        self.registries = {f"{name}.test": registry for name, registry in registries.items()}

    def render(self, request: Request) -> bytes | int:
        """Let the registry of that name answer."""
        host = request.getRequestHostname().decode("ascii")
        return self.registries[host].render(request)
