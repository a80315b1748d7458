"""Tests of L{registryproxy.config.listening}."""

from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config.kinds import ENDPOINTS
from registryproxy.config.listening import IPStack, default_endpoints

BOTH_AT_ONCE = IPStack(has_ipv6=True, is_v6_only=False)
EACH_BY_ITSELF = IPStack(has_ipv6=True, is_v6_only=True)
IPV4_ALONE = IPStack(has_ipv6=False, is_v6_only=False)

IPV4 = "tcp:3128:backlog=511"
IPV6 = r"tcp:3128:interface=\:\::backlog=511"


class DefaultEndpointsTests(SynchronousTestCase):
    """L{default_endpoints}: every address, and none twice."""

    def test_one_socket_takes_both(self) -> None:
        """Where an IPv6 socket takes IPv4 as well, a second would find the port taken."""
        self.assertEqual(default_endpoints(BOTH_AT_ONCE, disable_ipv6=False), (IPV6,))

    def test_two_sockets_where_the_kernel_keeps_them_apart(self) -> None:
        """With net.ipv6.bindv6only, IPv4 has a socket of its own."""
        self.assertEqual(default_endpoints(EACH_BY_ITSELF, disable_ipv6=False), (IPV6, IPV4))

    def test_without_ipv6_there_is_ipv4(self) -> None:
        """A kernel or a container without IPv6 still listens; so does one whose operator does not want it."""
        self.assertEqual(default_endpoints(IPV4_ALONE, disable_ipv6=False), (IPV4,))
        for stack in (BOTH_AT_ONCE, EACH_BY_ITSELF, IPV4_ALONE):
            self.assertEqual(default_endpoints(stack, disable_ipv6=True), (IPV4,))

    def test_they_could_be_written_by_an_operator(self) -> None:
        """What is chosen is a value of LISTEN like any other."""
        endpoints = default_endpoints(EACH_BY_ITSELF, disable_ipv6=False)
        self.assertEqual(ENDPOINTS.read(ENDPOINTS.write(endpoints)), endpoints)
