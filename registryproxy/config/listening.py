"""Where the proxy listens when nobody says so."""

from attrs import frozen

# nginx's backlog, as the seed has it: a fleet of nodes that pulls at once must not find the queue of 50 full.
_IPV4 = "tcp:3128:backlog=511"
_IPV6 = r"tcp:3128:interface=\:\::backlog=511"


@frozen
class IPStack:
    """
    What this machine can do.

    @ivar has_ipv6: whether a socket can be bound to the unspecified address of IPv6.
    @ivar is_v6_only: whether such a socket turns IPv4 away, which is sysctl C{net.ipv6.bindv6only}.
    """

    has_ipv6: bool
    is_v6_only: bool


def default_endpoints(stack: IPStack, disable_ipv6: bool) -> tuple[str, ...]:
    """
    Choose the endpoints that take every address of this machine, none of them twice.

    Where an IPv6 socket takes IPv4 as well, one for IPv4 beside it would fail, for the port is taken.
    """
    if disable_ipv6 or not stack.has_ipv6:
        return (_IPV4,)
    return (_IPV6, _IPV4) if stack.is_v6_only else (_IPV6,)
