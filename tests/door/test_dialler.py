"""Tests for L{registryproxy.door.dialler}."""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.door.dialler import (
    Dialler,
    belongs_to_this_machine,
)
from registryproxy.errors import Forbidden, UpstreamSilent, UpstreamUnavailable
from registryproxy.policy.registries import RegistryPattern, RegistryTable
from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.wire.authority import Authority
from tests.support.book import Book

PUBLIC, OTHER, PUBLIC_6 = "140.82.121.4", "140.82.121.5", "2606:50c0:8000::153"


class DiallerTests(SynchronousTestCase):
    """Tests for L{Dialler}."""

    def setUp(self) -> None:
        """Have a network in memory."""
        self.reactor = MemoryReactorClock()
        self.book = Book()
        self.reactor.installNameResolver(self.book)
        self.policy = TunnelPolicy()

    def dial(self, host: str = "github.com", port: int = 443, *, ipv6: bool = True) -> Deferred[IProtocol]:
        """Dial with a timeout of 60 seconds."""
        dialler = Dialler(self.reactor, self.policy, 60.0, ipv6)
        return dialler.dial(Authority(host, port), Factory.forProtocol(Protocol))

    @property
    def tried(self) -> list[tuple[str, int]]:
        """The addresses that were connected to."""
        return [(host, port) for host, port, *_ in self.reactor.tcpClients]

    def accept(self, number: int = 0) -> None:
        """Let an attempt succeed."""
        factory: Any = self.reactor.tcpClients[number][2]
        factory.buildProtocol(None).makeConnection(StringTransport())

    def fail_attempt(self, reason: Exception, number: int = 0) -> None:
        """Let an attempt fail."""
        factory: Any = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(None, Failure(reason))

    def assertFails(self, dialled: Deferred[IProtocol], kind: type[Exception], sentence: str) -> None:
        """Fail unless it fails in this way, and leaves nothing behind."""
        failure = self.failureResultOf(dialled, kind)
        self.assertRegex(failure.getErrorMessage(), sentence)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_connects(self) -> None:
        """The protocol is given out once it is connected."""
        self.book.names["github.com"] = [PUBLIC]
        dialled = self.dial()
        self.assertNoResult(dialled)
        self.accept()
        self.assertIsInstance(self.successResultOf(dialled), Protocol)
        self.assertEqual(self.tried, [(PUBLIC, 443)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_asked_once(self) -> None:
        """A name is looked up once: what was judged is what is connected to."""
        self.book.names["github.com"] = [PUBLIC]
        self.dial()
        self.assertEqual(self.book.asked, ["github.com"])

    def test_names_that_idna_does_not_allow(self) -> None:
        """Hosts are looked up as they are written: underscores and odd hyphens are out there."""
        for host in ("my_registry.example", "r3---sn-4g5e6nez.googlevideo.com", "xn--a.example"):
            self.book.names[host] = [PUBLIC]
            self.dial(host)
            self.assertEqual(self.tried.pop(), (PUBLIC, 443))

    def test_happy_eyeballs(self) -> None:
        """When an address does not answer at once, the next one is tried beside it."""
        self.book.names["github.com"] = [PUBLIC_6, PUBLIC]
        dialled = self.dial()
        self.assertEqual(self.tried, [(PUBLIC_6, 443)])
        self.reactor.advance(0.3)
        self.assertEqual(self.tried, [(PUBLIC_6, 443), (PUBLIC, 443)])
        self.accept(1)
        self.successResultOf(dialled)

    def test_forbidden_addresses_are_left_out(self) -> None:
        """Of several addresses only those that may be connected to are tried."""
        self.book.names["github.com"] = ["127.0.0.1", PUBLIC, "::1", "169.254.169.254", OTHER]
        self.dial()
        self.reactor.pump([0.3] * 5)
        self.assertEqual(self.tried, [(PUBLIC, 443), (OTHER, 443)])

    def test_only_forbidden_addresses(self) -> None:
        """A name that leads inside is forbidden, and the sentence says by what."""
        self.book.names["localtest.me"] = ["127.0.0.1", "::1"]
        self.assertFails(self.dial("localtest.me"), Forbidden, "localtest.me:443: .*TUNNELS=open leaves out")
        self.assertEqual(self.tried, [])

    def test_address_literals(self) -> None:
        """An address in place of a name is judged like one that a name leads to."""
        for address in ("169.254.169.254", "::ffff:7f00:1"):
            self.book.names[address] = [address]
            self.assertFails(self.dial(address), Forbidden, "TUNNELS=open")
        self.book.names[PUBLIC] = [PUBLIC]
        self.dial(PUBLIC)
        self.assertEqual(self.tried, [(PUBLIC, 443)])

    def test_forbidden_name(self) -> None:
        """A name that may not be asked for is not even looked up."""
        self.assertFails(self.dial(port=22), Forbidden, "TUNNEL_PORTS")
        self.assertEqual(self.book.asked, [])

    def test_listed_hosts_are_not_judged(self) -> None:
        """With TUNNELS=listed a host may live where the operator says."""
        self.policy = TunnelPolicy(mode="listed", hosts=RegistryTable((RegistryPattern.parse("git.corp"),)))
        self.book.names["git.corp"] = ["127.0.0.1"]
        self.dial("git.corp")
        self.assertEqual(self.tried, [("127.0.0.1", 443)])

    def test_without_ipv6(self) -> None:
        """With DISABLE_IPV6 no IPv6 address is tried."""
        self.book.names["github.com"] = [PUBLIC_6, PUBLIC]
        self.dial(ipv6=False)
        self.reactor.advance(1)
        self.assertEqual(self.tried, [(PUBLIC, 443)])

    def test_ipv6_only_without_ipv6(self) -> None:
        """When there are no others, the sentence says why none was tried."""
        self.book.names["github.com"] = [PUBLIC_6]
        self.assertFails(self.dial(ipv6=False), UpstreamUnavailable, "DISABLE_IPV6")

    def test_unknown_name(self) -> None:
        """A name without an address is the network's fault, not the client's."""
        self.assertFails(
            self.dial("nowhere.example"), UpstreamUnavailable, "nowhere.example:443 cannot be found"
        )

    def test_refused(self) -> None:
        """A host that refuses is named, with what the system said."""
        self.book.names["github.com"] = [PUBLIC]
        dialled = self.dial()
        self.fail_attempt(error.ConnectionRefusedError())
        self.reactor.advance(0.3)
        self.assertFails(dialled, UpstreamUnavailable, "github.com:443 cannot be connected to: .*refused")

    def test_too_slow(self) -> None:
        """A host that does not answer in time is given up, and no attempt goes on."""
        self.book.names["github.com"] = [PUBLIC, OTHER]
        dialled = self.dial()
        self.reactor.pump([1.0] * 59)
        self.assertNoResult(dialled)
        self.reactor.advance(1)
        self.assertFails(dialled, UpstreamSilent, "github.com:443 did not accept .* within 60 seconds")
        self.assertEqual([each.stoppedConnecting for each in self.reactor.connectors], [True, True])

    def test_attempt_too_slow(self) -> None:
        """An attempt that the system gives up is a timeout, too."""
        self.book.names["github.com"] = [PUBLIC]
        for reason in (error.TimeoutError(), error.TCPTimedOutError()):
            dialled = self.dial()
            self.fail_attempt(reason, -1)
            self.reactor.advance(0.3)
            self.assertFails(dialled, UpstreamSilent, "in time")

    def test_lookup_too_slow(self) -> None:
        """The time for the lookup counts."""
        self.book.names["github.com"] = None
        dialled = self.dial()
        self.reactor.advance(60)
        self.assertFails(dialled, UpstreamSilent, "within 60 seconds")

    def test_given_up(self) -> None:
        """Whoever cancels is not told a story about the network."""
        self.book.names["github.com"] = [PUBLIC]
        dialled = self.dial()
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError, error.ConnectingCancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_bug(self) -> None:
        """A bug stays what it is."""
        self.book.names["github.com"] = [PUBLIC]
        dialled = self.dial()
        self.fail_attempt(ZeroDivisionError())
        self.reactor.advance(0.3)
        self.failureResultOf(dialled, ZeroDivisionError)


class MachineTests(SynchronousTestCase):
    """Tests for L{belongs_to_this_machine}."""

    def test_this_machine(self) -> None:
        """An address of this machine is told from one of another."""
        self.assertTrue(belongs_to_this_machine("127.0.0.1"))
        self.assertFalse(belongs_to_this_machine("192.0.2.1"))
        self.assertFalse(belongs_to_this_machine("2001:db8::1"))
