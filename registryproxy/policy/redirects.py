"""Where a redirect leads, and what may go along."""

import re
from urllib.parse import urljoin, urlsplit

from registryproxy.errors import BadRedirect, InvalidAuthority
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

STATUSES = frozenset({301, 302, 303, 307, 308})
MAX_HOPS = 10

# What another host needs to know in order to answer, and says nothing about who asks.
_HARMLESS = frozenset({"accept", "range", "if-range", "user-agent"})

_VISIBLE = re.compile(r"[\x21-\x7e]*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_USABLE = re.compile(r"(?P<start>[hH][tT][tT][pP][sS]?://(?P<authority>[^/?]*))(?P<rest>.*)")


def next_url(url: str, location: str | None) -> str:
    """
    Resolve a C{Location} against the URL that sent it; a signed query comes out as it went in.

    @raise BadRedirect: if it leads nowhere that HTTP could follow.
    @see: RFC 9110, section 10.2.2; RFC 3986, section 5.2.
    """
    if location is None:
        raise BadRedirect(f"{without_query(url)} sent a redirect without Location")
    # Before anything is parsed: urllib drops tabs and line ends silently, and the URL would be another.
    if not _VISIBLE.fullmatch(location):
        raise BadRedirect(f"{without_query(url)} sent a redirect to what is no URL")
    parts = _USABLE.fullmatch(_resolved(url, location.partition("#")[0]))
    if parts is None or not _is_authority(parts["authority"]):
        target = re.sub("//.*@", "//", without_query(location))
        raise BadRedirect(f"{without_query(url)} sent a redirect to {target!r}, which cannot be followed")
    # A server is asked for a path, and be it that of its root.
    return f"{parts['start']}{'' if parts['rest'].startswith('/') else '/'}{parts['rest']}"


def _is_authority(text: str) -> bool:
    """
    Judge a host as strictly as that of a CONNECT.

    What we read one way, and whoever connects another way, would get the credentials of the one sent to the other.
    """
    try:
        Authority.parse(text, 443)
    except InvalidAuthority:
        return False
    return True


def _resolved(url: str, reference: str) -> str:
    if not reference:
        return url
    if _SCHEME.match(reference):
        return reference
    if reference.startswith("//"):
        return url.partition("//")[0] + reference
    path, mark, query = reference.partition("?")
    return urljoin(url.partition("?")[0], path) + mark + query


def fields_for(url: str, target: str, fields: Fields) -> Fields:
    """
    Tell which fields go along to the next hop: all within one origin, else none that identifies the client.

    @see: RFC 9110, section 15.4; RFC 6454, section 4.
    """
    if origin(url) == origin(target):
        return fields
    return Fields(line for line in fields if line[0].lower() in _HARMLESS)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def without_query(url: str) -> str:
    """Return what may be logged of a URL: signatures live in its query."""
    return url.partition("?")[0][:300]
