"""Whom a client may reach through us: names are judged when asked for, addresses when they are known."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from attrs import field, frozen

from registryproxy.errors import Forbidden
from registryproxy.policy.registries import RegistryTable
from registryproxy.wire.authority import Authority

Address = IPv4Address | IPv6Address


TunnelMode = Literal["open", "listed", "any"]
"""The values of the setting TUNNELS."""


def _nobody(_address: str, _port: int) -> bool:
    return False


@frozen(kw_only=True)
class TunnelPolicy:
    """
    What TUNNELS, TUNNEL_PORTS and TUNNEL_HOSTS say.

    @ivar ports: the ports that may be tunnelled to; None for all.
    @ivar hosts: the only ones in mode C{listed}; whom the operator names there, he means, whatever its address.
    @ivar is_ourselves: tells whether an address and port is one that this very proxy listens on.
    """

    mode: TunnelMode = "open"
    ports: tuple[int, ...] | None = (443,)
    hosts: RegistryTable = field(factory=RegistryTable)
    is_ourselves: Callable[[str, int], bool] = field(default=_nobody, repr=False)

    def check_name(self, authority: Authority) -> None:
        """
        Let pass whom a client may ask for, its addresses still unknown.

        @raise Forbidden: otherwise; the message names the setting that says so.
        """
        if self.ports is not None and authority.port not in self.ports:
            ports = " ".join(map(str, self.ports)) or "none"
            raise Forbidden(f"no tunnel to {authority}: TUNNEL_PORTS allows the ports {ports}")
        if self.mode == "listed" and not self.hosts.is_listed(authority):
            raise Forbidden(f"no tunnel to {authority}: TUNNELS is listed, and TUNNEL_HOSTS does not name it")

    def may_connect(self, address: str, port: int) -> bool:
        """
        Tell whether an address that a name was resolved to may be connected to.

        @param address: as the resolver gave it, to be connected to without asking again.
        """
        if self.mode != "open":
            return True
        try:
            meant = _meant_by(ip_address(address))
        except ValueError:
            return False
        return not any(_is_inside(each) or self.is_ourselves(str(each), port) for each in meant)


def leads_inside(address: str) -> bool:
    """
    Tell whether an address means this machine, its link, or many: loopback, link-local, unspecified, multicast.

    The private networks are not meant: registries live there.

    @raise ValueError: if it is no address.
    """
    return any(map(_is_inside, _meant_by(ip_address(address))))


# Where clouds answer for a machine's own credentials, beside 169.254.0.0/16.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "fd00:ec2::254",  # Amazon
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)
_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # Linux takes 0.0.0.0 for itself, and :: is its IPv6 form
_BROADCAST = IPv4Address("255.255.255.255")


def _is_inside(address: Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address in _METADATA
        or (address.version == 4 and (address in _THIS_NETWORK or address == _BROADCAST))  # noqa: PLR2004
    )


# IPv6 networks whose addresses some router, or the kernel itself, turns into IPv4 ones, and the bits below those.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped: RFC 4291, section 2.5.5.2
    (IPv6Network("::/96"), 0),  # compatible: RFC 4291, section 2.5.5.1
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated: RFC 7915
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64: RFC 6052
    (IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a site: RFC 8215
    (IPv6Network("2002::/16"), 80),  # 6to4: RFC 3056
)
_TEREDO = IPv6Network("2001::/32")  # RFC 4380, section 4: the client's address, inverted
_IPV4_MASK = 2**32 - 1


def _meant_by(address: Address) -> list[Address]:
    """Return the address, and the IPv4 addresses that hide in it."""
    if isinstance(address, IPv4Address):
        return [address]
    plain = IPv6Address(int(address))  # without a zone, which tells the link, not the machine
    hidden = [
        IPv4Address(int(plain) >> shift & _IPV4_MASK) for network, shift in _EMBEDDING if plain in network
    ]
    if plain in _TEREDO:
        hidden.append(IPv4Address(~int(plain) & _IPV4_MASK))
    return [plain, *hidden]
