"""RegistrySite: what all connections to one tree of resources share."""

from weakref import WeakSet

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web.resource import IResource
from twisted.web.server import Site
from zope.interface import implementer

from registryproxy.front.channel import RegistryChannel
from registryproxy.front.limits import Patience
from registryproxy.front.request import RegistryRequest, Report
from registryproxy.wire.authority import Authority


def _record_nothing(request: RegistryRequest) -> None:
    """Take a request's record, and drop it."""


class RegistrySite(Site):
    """
    Builds the channels to one tree.

    Twisted's own access log is off, with the call each second that it costs.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        report: Report = _record_nothing,
        patience: Patience | None = None,
    ) -> None:
        """
        Serve a tree.

        @param report: called once for each request when its answer has ended or its client has left, and for each
            head that was refused.
        """
        Site.__init__(self, resource, RegistryRequest, reactor=clock, parsePOSTFormSubmission=False)
        self._report = report
        self._patience = Patience() if patience is None else patience
        self._channels: WeakSet[RegistryChannel] = WeakSet()

    # The base wraps its channels in a protocol that switches to HTTP/2 where h2 is installed; ours is the channel.
    def buildProtocol(self, addr: IAddress | None) -> RegistryChannel:  # type: ignore[override]  # noqa: ARG002
        """Make the channel of a connection that stands in for nobody."""
        return self.channel_for(None)

    def channel_for(self, authority: Authority | None) -> RegistryChannel:
        """Make the channel of a connection that stands in for a registry."""
        channel = RegistryChannel(self.reactor, self._patience, self._report, authority)
        channel.factory = self
        channel.site = self
        self._channels.add(channel)
        return channel

    def wind_down(self) -> None:
        """Close connections that are only kept, and the others when their request is answered."""
        for channel in list(self._channels):
            channel.wind_down()

    def standing_in_for(self, authority: Authority) -> "StandIn":
        """Make a factory of channels for one registry, to be wrapped with TLS."""
        return StandIn(self, authority)

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone, also where Twisted could speak HTTP/2."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Start nothing: Twisted would open a log, and call itself each second for its date."""

    def stopFactory(self) -> None:
        """Stop nothing."""

    def log(self, request: RegistryRequest) -> None:  # type: ignore[override]
        """Record an answer that has ended; Twisted calls this just before it goes on to the next request."""
        request.ended()


@implementer(IProtocolNegotiationFactory)
class StandIn(Factory[RegistryChannel]):
    """Builds the channels of connections that stand in for one registry."""

    noisy = False

    def __init__(self, site: RegistrySite, authority: Authority) -> None:
        """Build by C{site}, for C{authority}."""
        self._site = site
        self._authority = authority

    def buildProtocol(self, addr: IAddress | None) -> RegistryChannel:  # noqa: ARG002
        """Make a channel that knows whom it stands in for."""
        return self._site.channel_for(self._authority)

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 alone."""
        return self._site.acceptableProtocols()
