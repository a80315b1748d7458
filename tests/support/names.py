"""A reactor that knows names of the laboratory's own, and resolves no others."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define
from twisted.internet.address import IPv4Address, IPv6Address
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


@implementer(IHostResolution)
@define
class _Resolution:
    name: str

    def cancel(self) -> None:
        """Be too late: it is done at once."""


@implementer(IHostnameResolver)
@define
class _Names:
    _addresses: Mapping[str, str]

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: ARG002
        transportSemantics: str = "TCP",  # noqa: ARG002
    ) -> IHostResolution:
        """Look the name up in the table."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        address = self._addresses.get(hostName)
        if address is not None:
            kind = IPv6Address if ":" in address else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IReactorPluggableNameResolver)
@define(eq=False)
class ReactorWithNames:
    """A reactor in all but its resolver, whose table it is given."""

    _reactor: Any
    _addresses: Mapping[str, str]

    @property
    def nameResolver(self) -> IHostnameResolver:
        """Resolve names by the table."""
        return _Names(self._addresses)

    def installNameResolver(self, _resolver: IHostnameResolver) -> IHostnameResolver:
        """Keep the table."""
        return self.nameResolver

    def __getattr__(self, name: str) -> Any:
        """Do all else as the reactor does."""
        return getattr(self._reactor, name)


classImplements(ReactorWithNames, IReactorTCP, IReactorTime)  # by what it delegates
