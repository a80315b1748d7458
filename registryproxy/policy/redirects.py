"""Where a redirect leads, and what may go along."""

from urllib.parse import urljoin, urlsplit

from registryproxy.errors import BadRedirect
from registryproxy.wire.headers import Fields

STATUSES = frozenset({301, 302, 303, 307, 308})
MAX_HOPS = 10

# What another host needs to know in order to answer, and says nothing about who asks.
_HARMLESS = frozenset({"accept", "range", "if-range", "user-agent"})


def next_url(url: str, location: str | None) -> str:
    """
    Resolve a C{Location} against the URL that sent it; a signed query comes out as it went in.

    @raise BadRedirect: if it leads nowhere that HTTP could follow.
    @see: RFC 9110, section 10.2.2.
    """
    if location is None:
        raise BadRedirect(f"{without_query(url)} sent a redirect without Location")
    target = urljoin(url, location).partition("#")[0]
    if not target.isascii() or any(character <= " " for character in target):
        raise BadRedirect(f"{without_query(url)} sent a redirect to what is no URL")
    try:
        parts = urlsplit(target)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None:
        raise BadRedirect(
            f"{without_query(url)} sent a redirect to {without_query(target)!r}, which cannot be followed"
        )
    return target


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
