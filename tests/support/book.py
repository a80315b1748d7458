"""A resolver that knows only what the test has written down."""

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer


@implementer(IHostResolution)
class Resolution:
    """A resolution in progress."""

    name = "host"

    def cancel(self) -> None:
        """Do nothing, as Twisted's own."""


@implementer(IHostnameResolver)
@define(eq=False)
class Book:
    """
    A resolver that looks names up in a book.

    @ivar names: the addresses of each name; None stands for a server that never answers.
    @ivar asked: the names that were asked for.
    """

    names: dict[str, list[str] | None] = field(factory=dict)
    asked: list[str] = field(factory=list)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: ARG002
        transportSemantics: str = "TCP",  # noqa: ARG002
    ) -> IHostResolution:
        """See C{IHostnameResolver.resolveHostName}."""
        self.asked.append(hostName)
        resolution = Resolution()
        resolutionReceiver.resolutionBegan(resolution)
        addresses = self.names.get(hostName, [])
        if addresses is not None:
            for each in addresses:
                kind = IPv6Address if ":" in each else IPv4Address
                resolutionReceiver.addressResolved(kind("TCP", each, portNumber))
            resolutionReceiver.resolutionComplete()
        return resolution
