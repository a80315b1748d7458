"""
What a path of the registry API asks for.

A repository's name contains slashes, so a path is parsed whole, once, into a value; nobody walks its segments.
"""

import re
from urllib.parse import unquote

from attrs import frozen

from registryproxy.errors import InvalidName
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Reference, Repository, parse_reference


@frozen
class PingRoute:
    """C{/v2/}: does the registry speak this API, and to whom?"""


@frozen
class ManifestRoute:
    """C{/v2/<name>/manifests/<reference>}."""

    repository: Repository
    reference: Reference


@frozen
class BlobRoute:
    """C{/v2/<name>/blobs/<digest>}."""

    repository: Repository
    digest: Digest


@frozen
class OldApiRoute:
    """C{/v1}: the API before this one, which nothing here speaks."""


@frozen
class OtherRoute:
    """
    Whatever else a registry or its token server answers: lists of tags, referrers, tokens.

    @ivar repository: the repository, where the path names one.
    """

    repository: Repository | None = None


Route = PingRoute | ManifestRoute | BlobRoute | OldApiRoute | OtherRoute

_CONTENT = re.compile(r"/v2/(?P<name>.*)/(?P<kind>manifests|blobs)/(?P<reference>[^/]*)", re.DOTALL)
_ABOUT = re.compile(r"/v2/(?P<name>.*)/(?:tags/list|referrers/(?P<digest>[^/]*))", re.DOTALL)
_UPLOADS = re.compile(r"/v2/(?P<name>.*)/blobs/uploads(?:/[^/]*)?", re.DOTALL)
_UNSEEMLY = re.compile(r"[\x00-\x20\x7f\\]|(?:^|/)\.{1,2}(?:/|\Z)")


def parse_route(path: str) -> Route:
    """
    Read the path of a request to a registry.

    @param path: as it stood in the request, without the query, still percent-encoded.
    @raise InvalidName: if the repository's name, or the path itself, is malformed.
    @raise InvalidTag: if the reference is malformed.
    @raise InvalidDigest: if the digest is malformed.
    @see: OCI distribution-spec, "Endpoints".
    """
    plain = unquote(path, encoding="utf-8", errors="replace")
    if not plain.startswith("/") or _UNSEEMLY.search(plain):
        raise InvalidName(f"{path[:300]!r} is not a path of the registry API")
    if plain in {"/v2", "/v2/"}:
        return PingRoute()
    if plain == "/v1" or plain.startswith("/v1/"):
        return OldApiRoute()
    if match := _UPLOADS.fullmatch(plain):
        return OtherRoute(Repository.parse(match["name"]))
    if match := _CONTENT.fullmatch(plain):
        repository = Repository.parse(match["name"])
        if match["kind"] == "blobs":
            return BlobRoute(repository, Digest.parse(match["reference"]))
        return ManifestRoute(repository, parse_reference(match["reference"]))
    if match := _ABOUT.fullmatch(plain):
        if match["digest"] is not None:
            Digest.parse(match["digest"])
        return OtherRoute(Repository.parse(match["name"]))
    return OtherRoute()
