"""Interception: TLS in which we stand in for a registry, over whatever the client's CONNECT came by."""

from attrs import frozen
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from registryproxy.front.site import RegistrySite
from registryproxy.interfaces import ILeafMint
from registryproxy.wire.authority import Authority


@implementer(IOpenSSLServerConnectionCreator)
@frozen
class _WithContext:
    """Makes connections from a context that is ready, and that others use, too."""

    _context: SSL.Context

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002
        return SSL.Connection(self._context, None)


@frozen(eq=False)
class Interception:
    """Stands in for registries."""

    _mint: ILeafMint
    _site: RegistrySite
    _clock: IReactorTime

    def protocol_for(self, authority: Authority) -> IProtocol:
        """
        Make the protocol for one connection: TLS with the leaf of the authority's host, HTTP within.

        @raise RegistryProxyError: if no leaf can be minted for that host.
        """
        creator = _WithContext(self._mint.context_for(authority.host))
        channels = self._site.standing_in_for(authority)
        factory = TLSMemoryBIOFactory(creator, False, channels, self._clock)
        return factory.buildProtocol(IPv4Address("TCP", authority.host, authority.port))
