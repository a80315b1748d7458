"""Which authorities are registries of ours: the entries of C{REGISTRIES} and of the lists like it."""

import re
from collections.abc import Iterable

from attrs import frozen

from registryproxy.errors import InvalidAuthority
from registryproxy.wire.authority import Authority

HTTPS_PORT = 443
_ANY_LABELS = "*."
_HAS_PORT = re.compile(r":[0-9]+\Z")


@frozen
class RegistryPattern:
    """
    One entry of a list of registries.

    @ivar host: the host as L{Authority.host} has it, or for a suffix pattern what must follow its C{*.}.
    @ivar port: the one port that is meant; None means any.
    @ivar is_suffix: whether any number of labels must stand in front of C{host}.
    """

    host: str
    port: int | None = HTTPS_PORT
    is_suffix: bool = False

    @classmethod
    def parse(cls, text: str, default_port: int | None = HTTPS_PORT) -> "RegistryPattern":
        """
        Read C{host}, C{host:port}, C{*.suffix} or C{*.suffix:port}.

        @param text: an IPv6 address stands in brackets.
        @param default_port: the port of an entry that has none; None lets it mean any port.
        @raise InvalidAuthority: if it is anything else, a lone star among them.
        """
        is_suffix = text.startswith(_ANY_LABELS)
        rest = text.removeprefix(_ANY_LABELS)
        if text.partition(":")[0] == "*":
            raise InvalidAuthority(f"{text[:300]!r} would stand in for every host there is")
        if "*" in rest:
            raise InvalidAuthority(
                f"{text[:300]!r} has a star that is not its first label, as in *.example.com"
            )
        try:
            authority = Authority.parse(rest, HTTPS_PORT)
        except InvalidAuthority:
            raise InvalidAuthority(f"{text[:300]!r} is neither host, host:port nor *.suffix") from None
        port = authority.port if _HAS_PORT.search(rest) else default_port
        if is_suffix and authority.is_address:
            raise InvalidAuthority(f"{text[:300]!r} puts a star in front of an address")
        return cls(authority.host, port, is_suffix)

    def matches(self, authority: Authority) -> bool:
        """Tell whether the authority is meant; the bare suffix is not meant by its own pattern."""
        if self.port not in {None, authority.port}:
            return False
        if self.is_suffix:
            return authority.host.endswith(f".{self.host}")
        return authority.host == self.host

    def as_text(self, default_port: int | None = HTTPS_PORT) -> str:
        """Write it so that L{parse} with the same default reads it again."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == default_port else f":{self.port}"
        return f"{_ANY_LABELS if self.is_suffix else ''}{host}{port}"

    def __str__(self) -> str:
        """Write it as C{REGISTRIES} does."""
        return self.as_text()


DOCKER_HUB = (RegistryPattern("registry-1.docker.io"), RegistryPattern("auth.docker.io"))
"""Docker Hub's hosts: they belong to every list of registries to intercept, named or not."""


@frozen
class RegistryTable:
    """
    A list of patterns.

    @ivar patterns: in the operator's order, none twice.
    """

    patterns: tuple[RegistryPattern, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[RegistryPattern]) -> "RegistryTable":
        """Make the table of what is intercepted: these, and Docker Hub."""
        return cls(tuple(dict.fromkeys((*DOCKER_HUB, *patterns))))

    @classmethod
    def of_these_only(cls, patterns: Iterable[RegistryPattern]) -> "RegistryTable":
        """Make a table of just these."""
        return cls(tuple(dict.fromkeys(patterns)))

    def is_listed(self, authority: Authority) -> bool:
        """Tell whether some pattern means the authority."""
        return any(pattern.matches(authority) for pattern in self.patterns)
