"""C{host:port}: how a CONNECT names its target, and how we name a registry."""

import re
from ipaddress import IPv6Address, ip_address

from attrs import frozen

from registryproxy.errors import InvalidAuthority

# A registered name as DNS allows it; underscores, for private registries do have them.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
_SPLIT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")

MAX_PORT = 65535


@frozen(order=True)
class Authority:
    """
    A host and a port.

    @ivar host: a DNS name in lower case without a trailing dot, or an IP address in its shortest form without
        brackets.
    @ivar port: 1 to 65535.
    @see: RFC 3986, section 3.2; RFC 9110, section 9.3.6.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> "Authority":
        """
        Read C{host:port}, or C{host} alone where there is a default port.

        @param text: the host may be a name, an IPv4 address or an IPv6 address in brackets.
        @raise InvalidAuthority: if it is anything else.
        """
        match = _SPLIT.fullmatch(text)
        if match is None:
            raise InvalidAuthority(f"{text[:300]!r} is not host:port")
        port = int(match["port"]) if match["port"] is not None else default_port
        if port is None:
            raise InvalidAuthority(f"{text[:300]!r} lacks a port, as in example.com:443")
        if not 0 < port <= MAX_PORT:
            raise InvalidAuthority(f"{text[:300]!r} has a port that is not within 1 to {MAX_PORT}")
        return cls(_host(match["host"]), port)

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def netloc(self) -> str:
        """The authority as a URL of scheme https writes it: the port only when it is not 443."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"  # noqa: PLR2004  the port of https

    def __str__(self) -> str:
        """Write host and port, always both."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(text: str) -> str:
    lowered = text.lower()
    bracketed = lowered.startswith("[")
    try:
        address = ip_address(lowered.strip("[]"))
    except ValueError:
        pass
    else:
        if isinstance(address, IPv6Address) == bracketed and getattr(address, "scope_id", None) is None:
            return str(address)
    if bracketed or not _NAME.fullmatch(lowered) or _is_numeric(lowered):
        raise InvalidAuthority(f"{text[:300]!r} is neither a DNS name nor an IP address")
    return lowered.rstrip(".")


def _is_numeric(host: str) -> bool:
    """
    Whether a name would be read as an address by some resolvers.

    C{127.1} and C{0x7f000001} are loopback to C{getaddrinfo}, but names to everybody else.
    """
    last = host.rstrip(".").rpartition(".")[2]
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last) is not None


def host_of(end: object) -> str:
    """
    Tell the IP address of a connection's end; IPv4 as such also where it came in by an IPv6 socket.

    @param end: what a transport tells as its peer; an empty string is told of those that have no host.
    """
    return unmapped(str(getattr(end, "host", "")))


def unmapped(text: str) -> str:
    """
    Write an IPv4 address as such, though it be mapped into IPv6, as C{::ffff:192.0.2.1}; leave all else alone.

    @see: RFC 4291, section 2.5.5.2.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return text if mapped is None else str(mapped)
