"""The agent under treq: how connections to registries are made, and what treq must not change on the way."""

from typing import Any

from attrs import frozen
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from registryproxy.upstream.pool import UpstreamPool


@implementer(IAgentEndpointFactory)
@frozen(eq=False)
class _Endpoints:
    """
    Connects to what a URL names: every address that the resolver gives, happy eyeballs among them.

    @ivar connect_timeout: seconds.
    """

    _reactor: Any
    _trust: IPolicyForHTTPS
    _connect_timeout: float

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.strip(b"[]")
        plain = HostnameEndpoint(self._reactor, host, uri.port, timeout=self._connect_timeout)
        if uri.scheme != b"https":
            return plain
        secured: IStreamClientEndpoint = wrapClientTLS(self._trust.creatorForNetloc(host, uri.port), plain)
        return secured


@implementer(IAgent)
@frozen(eq=False)
class VerbatimAgent:
    """
    Asks for bodies as they are stored.

    treq would add C{gzip}, decode the answer, and the length, the ranges and the digest would no longer fit.
    """

    _agent: IAgent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> "Deferred[IResponse]":
        """See L{IAgent.request}."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"accept-encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer)


class VerbatimURL(EncodedURL):
    """
    A URL that treq sends as it was written.

    It would be normalised on the way: that breaks signatures, and hosts with an underscore or an IPv6 address.
    """

    def to_uri(self) -> "VerbatimURL":
        """Return the URL itself, for it is encoded already."""
        return self

    def to_text(self, with_password: bool = False) -> str:  # noqa: ARG002
        """Return the URL as it was written."""
        return self._verbatim

    @classmethod
    def of(cls, url: str) -> "VerbatimURL":
        """Wrap a URL that is in ASCII."""
        made: VerbatimURL = cls(scheme="https")
        made._verbatim = url
        return made

    _verbatim: str


def make_agent(reactor: Any, trust: IPolicyForHTTPS, connect_timeout: float) -> IAgent:
    """
    Make the agent through which registries are asked.

    @param reactor: it also resolves names, as its C{nameResolver} does.
    @param connect_timeout: seconds.
    """
    endpoints = _Endpoints(reactor, trust, connect_timeout)
    return VerbatimAgent(Agent.usingEndpointFactory(reactor, endpoints, UpstreamPool(reactor)))
