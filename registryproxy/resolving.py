"""
Reaching a host by name: what is judged is the address, and what was judged is connected to.

A name that is judged and then looked up again may mean another address the second time (DNS rebinding), so it is
the resolver that judges, and Twisted's happy eyeballs get to see nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from zope.interface import classImplements, implementer

# HostnameEndpoint insists on names that IDNA allows, which neither my_registry.example nor hosts of some CDNs are;
# it is told this one, and the resolver asks for the real one.
_STAND_IN_NAME = "host.invalid"

_HEAD_START = 0.1
"""
Seconds that one address is given before the next is tried, and that a host without another takes to be given up.

@see: RFC 8305, section 8, which recommends no less.
"""

Judge = Callable[[str, int], bool]
"""Tells of an address and a port whether they may be connected to."""


def everybody(_address: str, _port: int) -> bool:
    """Let every address pass."""
    return True


def endpoint_to(
    reactor: Any, host: str, port: int, timeout: float, ipv6: bool, may_connect: Judge = everybody
) -> tuple[HostnameEndpoint, "JudgingResolver"]:
    """
    Make an endpoint that connects to the first address of a host that passes and answers.

    @param reactor: provides C{IReactorTCP}, C{IReactorTime} and C{IReactorPluggableNameResolver}.
    @param host: a name or an IP address.
    @param timeout: seconds for each address.
    @param ipv6: whether IPv6 addresses are tried.
    @return: beside the endpoint the resolver, which tells afterwards what was kept back.
    """
    resolver = JudgingResolver(reactor.nameResolver, host, may_connect, ipv6)
    judged = _ReactorWithResolver(reactor, resolver)
    endpoint = HostnameEndpoint(judged, _STAND_IN_NAME, port, timeout=timeout, attemptDelay=_HEAD_START)
    return endpoint, resolver


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
    _may_connect: Judge = everybody
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
