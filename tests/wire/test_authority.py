"""Tests for L{registryproxy.wire.authority}."""

from ipaddress import IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import InvalidAuthority
from registryproxy.wire.authority import Authority

LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join).filter(lambda name: not name[-1].isdigit())
HOSTS = NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: f"[{address}]")
PORTS = st.integers(1, 65535)


class ParseTests(SynchronousTestCase):
    """Tests for L{Authority.parse}."""

    def assertRefused(self, text: str, sentence: str) -> None:
        """Fail unless the text is refused for that reason."""
        with self.assertRaisesRegex(InvalidAuthority, sentence):
            Authority.parse(text)

    def test_name(self) -> None:
        """A name is kept in lower case, without the dot that ends an absolute one."""
        self.assertEqual(Authority.parse("GHCR.io.:443"), Authority("ghcr.io", 443))

    def test_underscore(self) -> None:
        """Private registries have underscores in their names, whatever the RFCs say."""
        self.assertEqual(Authority.parse("my_registry:5000"), Authority("my_registry", 5000))

    def test_address(self) -> None:
        """An IPv4 address is written as it is, an IPv6 address in brackets, and kept in its shortest form."""
        self.assertEqual(Authority.parse("192.0.2.1:443"), Authority("192.0.2.1", 443))
        self.assertEqual(Authority.parse("[2001:DB8:0::1]:443"), Authority("2001:db8::1", 443))

    def test_default_port(self) -> None:
        """Where there is a default port, none need be written; a written one wins."""
        self.assertEqual(Authority.parse("quay.io", 443).port, 443)
        self.assertEqual(Authority.parse("[::1]", 443), Authority("::1", 443))
        self.assertEqual(Authority.parse("quay.io:5000", 443).port, 5000)

    def test_no_port(self) -> None:
        """Without a default, a port is asked for, with an example."""
        self.assertRefused("quay.io", "as in example.com:443")

    def test_port_out_of_range(self) -> None:
        """Ports end at 65535, and there is no port 0."""
        self.assertRefused("quay.io:0", "port")
        self.assertRefused("quay.io:65536", "port")
        self.assertRefused("quay.io:443443", "not host:port")

    def test_not_a_host(self) -> None:
        """What is neither a name nor an address is refused; nothing of it can be taken for another part."""
        for text in (
            ":443",
            "a..b:443",
            "-a.b:443",
            "a-:443",
            "a b:443",
            "a/b:443",
            "user@quay.io:443",
            "*.quay.io:443",
            "quay.io\n:443",
            "quäy.io:443",
            "::1:443",
            "[quay.io]:443",
            "[192.0.2.1]:443",
            "[fe80::1%eth0]:443",
            "[::1:443",
            f"{'a' * 64}.io:443",
            f"{'a.' * 127}:443",
        ):
            with self.assertRaises(InvalidAuthority, msg=text):
                Authority.parse(text)

    def test_number_that_is_no_address(self) -> None:
        """What getaddrinfo would take for an address, and everybody else for a name, is refused."""
        for text in ("127.1:443", "2130706433:443", "0x7f000001:443", "0x7f.0.0.0x1:443", "a.b.1:443"):
            self.assertRefused(text, "neither a DNS name nor an IP address")

    def test_longest_name(self) -> None:
        """A name may have 253 characters, and a label 63."""
        name = ".".join(["a" * 63] * 3 + ["a" * 61])
        self.assertEqual(Authority.parse(f"{name}:443").host, name)
        self.assertRefused(f"{name}a:443", "neither")

    @given(HOSTS, PORTS)
    def test_round_trip(self, host: str, port: int) -> None:
        """What is read is written back, and read as the same again."""
        authority = Authority.parse(f"{host}:{port}")
        self.assertEqual(Authority.parse(str(authority)), authority)
        self.assertEqual(Authority.parse(authority.netloc, 443), authority)

    @given(st.text() | st.from_regex(r"[a-z0-9.:\[\]@%*-]{0,40}(:[0-9]{0,6})?", fullmatch=True))
    def test_total(self, text: str) -> None:
        """Any text is either refused, or a host in lower case and a port that can be written and read again."""
        try:
            authority = Authority.parse(text)
        except InvalidAuthority:
            return
        self.assertEqual(authority.host, authority.host.lower())
        self.assertEqual(Authority.parse(str(authority)), authority)


class AuthorityTests(SynchronousTestCase):
    """Tests for what an L{Authority} tells of itself."""

    def test_is_address(self) -> None:
        """Names and addresses are told apart."""
        self.assertTrue(Authority("192.0.2.1", 443).is_address)
        self.assertTrue(Authority("2001:db8::1", 443).is_address)
        self.assertFalse(Authority("quay.io", 443).is_address)

    def test_netloc(self) -> None:
        """A URL of scheme https names the port only when it is another than 443."""
        self.assertEqual(Authority("quay.io", 443).netloc, "quay.io")
        self.assertEqual(Authority("quay.io", 5000).netloc, "quay.io:5000")
        self.assertEqual(Authority("2001:db8::1", 443).netloc, "[2001:db8::1]")

    @given(st.ip_addresses(v=6))
    def test_one_form(self, address: IPv6Address) -> None:
        """An IPv6 address is one registry, however it is written."""
        self.assertEqual(
            Authority.parse(f"[{address.exploded}]:443"), Authority.parse(f"[{address.compressed}]:443")
        )
