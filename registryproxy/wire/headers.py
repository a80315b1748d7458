"""Fields: the header section of a message, as an immutable value."""

from collections.abc import Iterable, Iterator

from attrs import field, frozen

# Those that concern one connection only: they end here, in both directions.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)
# Dropped from what clients send: bodies come as they are stored, and cookies are nobody's.
_NOT_ONWARD = HOP_BY_HOP | {
    "host",
    "accept-encoding",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "via",
}
# Dropped from what registries send: one client's cookie is not another's, and no other way leads here.
_NOT_BACK = HOP_BY_HOP | {
    "set-cookie",
    "set-cookie2",
    "alt-svc",
    "content-length",
    "strict-transport-security",
}


def _as_tuple(lines: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(lines)


@frozen
class Fields:
    """
    Field lines in their order; names compare without regard to case.

    @ivar lines: name and value pairs, both decoded as ISO 8859-1 so that every byte survives.
    @see: RFC 9110, section 5.
    """

    lines: tuple[tuple[str, str], ...] = field(default=(), converter=_as_tuple, repr=False)

    @classmethod
    def of(cls, **values: str) -> "Fields":
        """Make fields from keywords: C{content_type} is C{content-type}."""
        return cls((name.replace("_", "-"), value) for name, value in values.items())

    def get(self, name: str) -> str | None:
        """Return the first value of C{name}, or nothing."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Return every value of C{name}, in order."""
        lowered = name.lower()
        return [value for each, value in self.lines if each.lower() == lowered]

    def listed(self, name: str) -> list[str]:
        """Return the members of a comma-separated field that has no quoted strings, in order."""
        return [member for value in self.all(name) for part in value.split(",") if (member := part.strip())]

    def without(self, names: Iterable[str]) -> "Fields":
        """Return a copy that lacks the fields of these names (in lower case)."""
        unwanted = frozenset(names)
        return Fields(line for line in self.lines if line[0].lower() not in unwanted)

    def with_field(self, name: str, value: str) -> "Fields":
        """Return a copy in which C{name} has this one value."""
        return Fields((*self.without({name.lower()}).lines, (name, value)))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Go through the lines."""
        return iter(self.lines)


def _nominated(fields: Fields) -> frozenset[str]:
    """
    Tell which fields this message itself declares to be hop-by-hop.

    @see: RFC 9110, section 7.6.1.
    """
    return frozenset(member.lower() for member in fields.listed("connection"))


def onward(fields: Fields) -> Fields:
    """Return those of a client's fields that a registry may see, its own C{Authorization} included."""
    return fields.without(_NOT_ONWARD | _nominated(fields))


def back(fields: Fields) -> Fields:
    """Return those of a registry's fields that a client may see; the length is for the body's sender to say."""
    return fields.without(_NOT_BACK | _nominated(fields))


SERVER = b"registryproxy"
"""What C{Server} says: no version, for it tells strangers which faults to try."""


def text_fields(length: int) -> list[tuple[bytes, bytes]]:
    """Make the fields that each of our short answers in text has."""
    return [
        (b"Server", SERVER),
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"%d" % length),
        (b"Cache-Control", b"no-store"),
    ]
