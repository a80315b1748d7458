"""Dialler: reaches the host that a client named, if the policy allows the name and the address behind it."""

import socket
from typing import Any

from attrs import field, frozen
from twisted.internet import error
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
)
from twisted.python.failure import Failure

from registryproxy.errors import Forbidden, RegistryProxyError, UpstreamSilent, UpstreamUnavailable
from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.resolving import JudgingResolver, endpoint_to
from registryproxy.wire.authority import Authority


@frozen
class Dialler:
    """
    Connects to the hosts that clients may tunnel to.

    @ivar _reactor: provides C{IReactorTCP}, C{IReactorTime} and C{IReactorPluggableNameResolver}.
    @ivar _timeout: seconds until the connection stands, the lookup included.
    @ivar _ipv6: whether IPv6 addresses are tried.
    """

    _reactor: Any = field(repr=False)
    _policy: TunnelPolicy
    _timeout: float
    _ipv6: bool = True

    def dial(self, authority: Authority, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the first address of a host that answers.

        @return: fires with the protocol, connected; cancelling it gives up.  Fails with L{Forbidden} if the policy
            does not allow the name or any of its addresses, with L{UpstreamUnavailable} if there is none or none
            answers, with L{UpstreamSilent} if that takes too long.
        """
        try:
            self._policy.check_name(authority)
        except Forbidden:
            return fail()
        endpoint, resolver = endpoint_to(
            self._reactor,
            authority.host,
            authority.port,
            self._timeout,
            self._ipv6,
            self._policy.may_connect,
        )
        connecting: Deferred[IProtocol] = endpoint.connect(factory)
        too_long = UpstreamSilent(f"{authority} did not accept a connection within {self._timeout:g} seconds")
        connecting.addTimeout(self._timeout, self._reactor, lambda _result, _seconds: Failure(too_long))
        connecting.addErrback(_translate, authority, resolver)
        return connecting


def _translate(failure: Failure, authority: Authority, resolver: JudgingResolver) -> Failure:
    """Say in our words why there is no connection; what is neither ours nor the network's is a bug, or cancelled."""
    said: RegistryProxyError
    if failure.check(error.DNSLookupError):
        said = _nobody_to_ask(authority, resolver)
    elif failure.check(error.TimeoutError, error.TCPTimedOutError):
        said = UpstreamSilent(f"{authority} did not accept a connection in time")
    elif failure.check(error.ConnectError):
        said = UpstreamUnavailable(f"{authority} cannot be connected to: {failure.getErrorMessage()}")
    else:
        return failure
    return Failure(said)


def _nobody_to_ask(authority: Authority, resolver: JudgingResolver) -> RegistryProxyError:
    """Tell why no address was left to be tried."""
    if resolver.forbidden:
        return Forbidden(
            f"no tunnel to {authority}: its address is this proxy's, loopback, link-local or multicast,"
            " which TUNNELS=open leaves out; name it in REGISTRIES, or in TUNNEL_HOSTS with TUNNELS=listed"
        )
    if resolver.found:
        return UpstreamUnavailable(f"{authority} has IPv6 addresses only, and DISABLE_IPV6 is true")
    return UpstreamUnavailable(f"{authority} cannot be found: its name has no address")


def belongs_to_this_machine(address: str) -> bool:
    """
    Tell whether an address is one of this machine's, by asking the kernel whether a socket could have it.

    @param address: an IPv4 or IPv6 address.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
