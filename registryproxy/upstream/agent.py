"""The agent under treq: how connections to registries are made, and what treq must not change on the way."""

import string
from typing import Any
from urllib.parse import quote

from attrs import frozen
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from registryproxy.resolving import endpoint_to
from registryproxy.upstream.pool import UpstreamPool

_VISIBLE = string.ascii_letters + string.digits + string.punctuation


@implementer(IAgentEndpointFactory)
@frozen(eq=False)
class _Endpoints:
    """
    Connects to what a URL names: every address that the resolver gives, happy eyeballs among them.

    @ivar connect_timeout: seconds.
    @ivar ipv6: whether IPv6 addresses are tried.
    """

    _reactor: Any
    _trust: IPolicyForHTTPS
    _connect_timeout: float
    _ipv6: bool

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.strip(b"[]")
        name = host.decode("ascii")
        plain, _ = endpoint_to(self._reactor, name, uri.port, self._connect_timeout, self._ipv6)
        if uri.scheme != b"https":
            return plain
        secured: IStreamClientEndpoint = wrapClientTLS(self._trust.creatorForNetloc(host, uri.port), plain)
        return secured


class _Agent(Agent):
    """
    Asks for the path and query of a URL as they are written.

    Twisted's own takes a URL apart and puts it together again, which loses an empty query, and with newer Pythons
    makes four slashes of two.
    """

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> "Deferred[IResponse]":
        parsed = URI.fromBytes(uri)
        target = b"/" + uri.partition(b"://")[2].partition(b"/")[2]
        return self._requestWithEndpoint(
            (parsed.scheme, parsed.host, parsed.port),
            self._endpointFactory.endpointForURI(parsed),
            method,
            parsed,
            headers,
            bodyProducer,
            target,
        )


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
        """
        Wrap a URL.

        @param url: what no URL may have in it, and clients send all the same, is percent-encoded.
        """
        made: VerbatimURL = cls(scheme="https")
        made._verbatim = quote(url, safe=_VISIBLE, encoding="latin-1")
        return made

    _verbatim: str


def make_agent(reactor: Any, trust: IPolicyForHTTPS, connect_timeout: float, ipv6: bool = True) -> IAgent:
    """
    Make the agent through which registries are asked.

    @param reactor: it also resolves names, as its C{nameResolver} does.
    @param connect_timeout: seconds.
    @param ipv6: whether IPv6 addresses are tried.
    """
    endpoints = _Endpoints(reactor, trust, connect_timeout, ipv6)
    agent: IAgent = _Agent.usingEndpointFactory(  # type: ignore[no-untyped-call]
        reactor, endpoints, UpstreamPool(reactor)
    )
    return VerbatimAgent(agent)
