"""Tests for L{registryproxy.resolving}."""

from typing import Any

from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.resolving import JudgingResolver, _ReactorWithResolver, endpoint_to
from tests.support.book import Book


class ResolvingTests(SynchronousTestCase):
    """Tests for what stands between an endpoint and its resolver."""

    def test_interfaces(self) -> None:
        """Twisted is told the truth about what stands in for its own."""
        resolver = JudgingResolver(Book(), "github.com", TunnelPolicy().may_connect)
        self.assertTrue(verifyObject(IHostnameResolver, resolver))
        reactor = _ReactorWithResolver(MemoryReactorClock(), resolver)
        for interface in (IReactorTCP, IReactorTime, IReactorPluggableNameResolver):
            self.assertTrue(verifyObject(interface, reactor))

    def test_other_resolver(self) -> None:
        """Another resolver can be put in, and the one before is given back."""
        first, second = Book(), Book()
        reactor = _ReactorWithResolver(MemoryReactorClock(), first)
        self.assertIs(reactor.installNameResolver(second), first)
        self.assertIs(reactor.nameResolver, second)


class EndpointTests(SynchronousTestCase):
    """Tests for L{endpoint_to}."""

    def tried(self, addresses: list[str], host: str = "my_registry.test", **options: Any) -> list[str]:
        """Connect to a host with these addresses, and tell which were tried."""
        reactor = MemoryReactorClock()
        reactor.nameResolver = Book({host: list(addresses)})
        endpoint, _ = endpoint_to(reactor, host, 443, 9.0, options.pop("ipv6", True), **options)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        connecting.addErrback(lambda _: None)
        for _ in range(9):
            reactor.advance(0.1)
        return [each[0] for each in reactor.tcpClients]

    def test_each_in_its_turn(self) -> None:
        """An address that does not answer does not keep the next from being tried."""
        self.assertEqual(set(self.tried(["192.0.2.1", "2001:db8::1"])), {"192.0.2.1", "2001:db8::1"})

    def test_without_ipv6(self) -> None:
        """With DISABLE_IPV6 none of its addresses is tried."""
        self.assertEqual(self.tried(["2001:db8::1", "192.0.2.1"], ipv6=False), ["192.0.2.1"])

    def test_judged(self) -> None:
        """What does not pass is not tried."""
        tried = self.tried(["127.0.0.1", "192.0.2.1"], may_connect=lambda it, _: not it.startswith("127."))
        self.assertEqual(tried, ["192.0.2.1"])
