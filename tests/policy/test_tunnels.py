"""Tests for L{registryproxy.policy.tunnels}."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import Forbidden
from registryproxy.policy.registries import RegistryPattern, RegistryTable
from registryproxy.policy.tunnels import TunnelPolicy, leads_inside
from registryproxy.wire.authority import Authority

GITHUB = Authority("github.com", 443)
METADATA = "169.254.169.254"

# IPv4 addresses that nobody may reach by us, whatever they are wrapped in.
INSIDE = (
    st.ip_addresses(network="127.0.0.0/8")
    | st.ip_addresses(network="169.254.0.0/16")
    | st.ip_addresses(network="0.0.0.0/8")
    | st.ip_addresses(network="224.0.0.0/4")
)
WRAPPINGS: st.SearchStrategy[Callable[[IPv4Address], IPv6Address]] = st.sampled_from(
    [
        lambda address: IPv6Address(0xFFFF << 32 | int(address)),
        lambda address: IPv6Address(int(address)),
        lambda address: IPv6Address(0xFFFF << 48 | int(address)),
        lambda address: IPv6Address(int(IPv6Address("64:ff9b::")) | int(address)),
        lambda address: IPv6Address(int(IPv6Address("64:ff9b:1::")) | int(address)),
        lambda address: IPv6Address(0x2002 << 112 | int(address) << 80 | 1),
        lambda address: IPv6Address(0x20010000 << 96 | (int(address) ^ 0xFFFFFFFF)),
    ]
)


class NameTests(SynchronousTestCase):
    """Tests for L{TunnelPolicy.check_name}."""

    def assertForbidden(self, policy: TunnelPolicy, authority: Authority, setting: str) -> None:
        """Fail unless the tunnel is forbidden, and the sentence names the setting that forbids it."""
        with self.assertRaisesRegex(Forbidden, setting):
            policy.check_name(authority)

    def test_open(self) -> None:
        """By default any name may be asked for, on port 443."""
        TunnelPolicy().check_name(GITHUB)
        self.assertForbidden(TunnelPolicy(), Authority("github.com", 22), "TUNNEL_PORTS")

    def test_ports(self) -> None:
        """TUNNEL_PORTS may allow others; the sentence tells which there are."""
        policy = TunnelPolicy(ports=(443, 8443))
        policy.check_name(Authority("github.com", 8443))
        self.assertForbidden(policy, Authority("github.com", 25), "443 8443")
        self.assertForbidden(TunnelPolicy(ports=()), GITHUB, "none")

    def test_listed(self) -> None:
        """With TUNNELS=listed only the hosts of TUNNEL_HOSTS may be asked for."""
        hosts = RegistryTable(
            (RegistryPattern.parse("*.github.com"), RegistryPattern.parse("downloads.example.org:8443"))
        )
        policy = TunnelPolicy(mode="listed", hosts=hosts, ports=(443, 8443))
        policy.check_name(Authority("api.github.com", 443))
        policy.check_name(Authority("downloads.example.org", 8443))
        self.assertForbidden(policy, GITHUB, "TUNNEL_HOSTS")
        self.assertForbidden(policy, Authority("downloads.example.org", 443), "TUNNEL_HOSTS")

    def test_ports_hold_for_listed_hosts(self) -> None:
        """TUNNEL_PORTS holds for the hosts of TUNNEL_HOSTS, too."""
        hosts = RegistryTable((RegistryPattern.parse("downloads.example.org:8443"),))
        self.assertForbidden(
            TunnelPolicy(mode="listed", hosts=hosts), Authority("downloads.example.org", 8443), "TUNNEL_PORTS"
        )

    def test_any(self) -> None:
        """With TUNNELS=any everything may be asked for, as the seed did, on whatever ports there are."""
        TunnelPolicy(mode="any", ports=None).check_name(Authority("github.com", 22))
        with self.assertRaises(Forbidden):
            TunnelPolicy(mode="any", ports=(443,)).check_name(Authority("github.com", 22))


class AddressTests(SynchronousTestCase):
    """Tests for L{TunnelPolicy.may_connect}."""

    def test_public(self) -> None:
        """Addresses of the internet may be connected to."""
        for address in ("140.82.121.4", "2606:50c0:8000::153", "64:ff9b::8c52:7904", "2002:8c52:7904::1"):
            self.assertTrue(TunnelPolicy().may_connect(address, 443), address)

    def test_private(self) -> None:
        """The private networks stay open: that is where registries and git servers live."""
        for address in ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"):
            self.assertTrue(TunnelPolicy().may_connect(address, 443), address)

    def test_inside(self) -> None:
        """Loopback, link-local, unspecified, broadcast and multicast are left out."""
        for address in (
            "127.0.0.1",
            "127.255.255.254",
            "::1",
            METADATA,
            "fe80::1",
            "febf::1",
            "fe80::1%2",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ):
            self.assertFalse(TunnelPolicy().may_connect(address, 443), address)

    def test_metadata(self) -> None:
        """Some clouds answer for a machine's credentials outside of the link-local range."""
        for address in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "64:ff9b::a83f:8110"):
            self.assertFalse(TunnelPolicy().may_connect(address, 443), address)

    @given(INSIDE, WRAPPINGS)
    def test_wrapped(self, address: IPv4Address, wrapping: Callable[[IPv4Address], IPv6Address]) -> None:
        """An IPv4 address that is left out is left out, too, in every IPv6 form that leads to it."""
        wrapped = str(wrapping(address))
        self.assertFalse(TunnelPolicy().may_connect(wrapped, 443), wrapped)

    @given(st.text() | st.from_regex(r"[0-9a-f.:%]{0,20}", fullmatch=True))
    def test_no_address(self, text: str) -> None:
        """What is no address is not connected to; whatever it is, it is judged without an error."""
        self.assertIn(TunnelPolicy().may_connect(text, 443), {True, False})
        self.assertFalse(TunnelPolicy().may_connect(f"x{text}", 443))

    def test_ourselves(self) -> None:
        """The proxy is not made to talk to itself, whatever form its address comes in; other ports stay open."""
        policy = TunnelPolicy(is_ourselves=lambda address, port: (address, port) == ("10.0.0.5", 3128))
        self.assertFalse(policy.may_connect("10.0.0.5", 3128))
        self.assertFalse(policy.may_connect("::ffff:10.0.0.5", 3128))
        self.assertTrue(policy.may_connect("10.0.0.5", 443))
        self.assertTrue(policy.may_connect("10.0.0.6", 3128))

    def test_other_modes_do_not_judge(self) -> None:
        """Whom the operator has named he means, and with TUNNELS=any all is allowed."""
        self.assertTrue(TunnelPolicy(mode="listed").may_connect("127.0.0.1", 443))
        self.assertTrue(TunnelPolicy(mode="any").may_connect(METADATA, 80))


class LeadsInsideTests(SynchronousTestCase):
    """Tests for L{leads_inside}."""

    def test_told_apart(self) -> None:
        """An address of this machine or its link is told from one that others share."""
        self.assertTrue(leads_inside("127.0.0.1"))
        self.assertTrue(leads_inside("::ffff:169.254.169.254"))
        self.assertFalse(leads_inside("10.0.0.1"))

    def test_no_address(self) -> None:
        """A name is not judged."""
        with self.assertRaises(ValueError):
            leads_inside("localhost")
