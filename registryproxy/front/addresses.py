"""
Reaching the host that a client named: what is judged is the address, and what was judged is connected to.

A name that is judged and then looked up again may mean another address the second time (DNS rebinding), so it is
the resolver that judges, and Twisted's happy eyeballs get to see nothing else.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from zope.interface import classImplements, implementer

from registryproxy.errors import Forbidden, RegistryProxyError, UpstreamSilent, UpstreamUnavailable
from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.wire.authority import Authority

# HostnameEndpoint insists on names that IDNA allows, which neither my_registry.example nor hosts of some CDNs are;
# it is told this one, and the resolver asks for the real one.
_STAND_IN_NAME = "tunnel.invalid"


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
        resolver = JudgingResolver(
            self._reactor.nameResolver, authority.host, self._policy.may_connect, self._ipv6
        )
        reactor = _ReactorWithResolver(self._reactor, resolver)
        endpoint = HostnameEndpoint(reactor, _STAND_IN_NAME, authority.port, timeout=self._timeout)
        connecting: Deferred[IProtocol] = endpoint.connect(factory)
        too_long = UpstreamSilent(f"{authority} did not accept a connection within {self._timeout:g} seconds")
        connecting.addTimeout(self._timeout, self._reactor, lambda _result, _seconds: Failure(too_long))
        connecting.addErrback(_translate, authority, resolver)
        return connecting


@implementer(IHostnameResolver)
@define(eq=False)
class JudgingResolver:
    """
    Asks another resolver for one host, whatever name it is asked for itself, and keeps back some addresses.

    @ivar found: addresses that there were.
    @ivar forbidden: how many of them were judged and kept back.
    """

    _resolver: IHostnameResolver
    _host: str
    _may_connect: Callable[[str, int], bool]
    _ipv6: bool = True
    found: int = field(default=0, init=False)
    forbidden: int = field(default=0, init=False)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,  # noqa: ARG002
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See L{IHostnameResolver.resolveHostName}."""
        judge = _JudgingReceiver(resolutionReceiver, self._lets_pass)
        return self._resolver.resolveHostName(judge, self._host, portNumber, addressTypes, transportSemantics)

    def _lets_pass(self, address: IAddress) -> bool:
        self.found += 1
        if not isinstance(address, IPv4Address | IPv6Address):
            return False
        if isinstance(address, IPv6Address) and not self._ipv6:
            return False
        allowed = self._may_connect(address.host, address.port)
        self.forbidden += not allowed
        return allowed


@implementer(IResolutionReceiver)
@frozen
class _JudgingReceiver:
    """Passes on what a resolver finds, but for what is kept back."""

    _receiver: IResolutionReceiver
    _lets_pass: Callable[[IAddress], bool]

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        if self._lets_pass(address):
            self._receiver.addressResolved(address)

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


@implementer(IReactorPluggableNameResolver)
@define(eq=False)
class _ReactorWithResolver:
    """A reactor in all that an endpoint asks of it, but for its resolver."""

    _reactor: Any
    nameResolver: IHostnameResolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        previous, self.nameResolver = self.nameResolver, resolver
        return previous

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


classImplements(_ReactorWithResolver, IReactorTCP, IReactorTime)  # by what it delegates


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
