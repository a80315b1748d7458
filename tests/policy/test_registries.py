"""Tests of L{registryproxy.policy.registries}."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import InvalidAuthority
from registryproxy.policy.registries import RegistryPattern, RegistryTable
from registryproxy.wire.authority import Authority

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z][a-z0-9]{1,5}){1,2}", fullmatch=True)
HOSTS = NAMES | st.ip_addresses().map(str)
PORTS = st.integers(1, 65535)
PATTERNS = st.builds(RegistryPattern, HOSTS, PORTS | st.none()) | st.builds(
    RegistryPattern, NAMES, PORTS | st.none(), st.just(value=True)
)


def matches(pattern: str, host: str, port: int = 443) -> bool:
    """Tell whether a pattern means a host and port."""
    return RegistryPattern.parse(pattern).matches(Authority(host, port))


class PatternTests(SynchronousTestCase):
    """L{RegistryPattern}."""

    def test_a_host_means_its_port_443(self) -> None:
        """Without a port, the one of https is meant, and no other."""
        self.assertTrue(matches("quay.io", "quay.io"))
        self.assertFalse(matches("quay.io", "quay.io", 5000))
        self.assertFalse(matches("quay.io", "cdn.quay.io"))

    def test_a_port_means_that_port(self) -> None:
        """With a port, only that one is meant."""
        self.assertTrue(matches("reg.example.com:5002", "reg.example.com", 5002))
        self.assertFalse(matches("reg.example.com:5002", "reg.example.com"))

    def test_names_ignore_case(self) -> None:
        """Host names are the same in either case."""
        self.assertTrue(matches("Quay.IO", "quay.io"))

    def test_a_suffix_means_what_is_in_front_of_it(self) -> None:
        """Any number of labels in front of the suffix, but not the bare suffix, nor half a label."""
        suffix = "dkr.ecr.us-east-1.amazonaws.com"
        self.assertTrue(matches(f"*.{suffix}", f"123456789012.{suffix}"))
        self.assertTrue(matches(f"*.{suffix}", f"a.b.{suffix}"))
        self.assertFalse(matches(f"*.{suffix}", suffix))
        self.assertFalse(matches(f"*.{suffix}", f"evil-{suffix}"))
        self.assertFalse(matches(f"*.{suffix}", f"a.{suffix}.example.com"))
        self.assertFalse(matches(f"*.{suffix}", f"a.{suffix}", 5000))
        self.assertTrue(matches(f"*.{suffix}:5000", f"a.{suffix}", 5000))

    def test_addresses_are_literal(self) -> None:
        """IPv4 as it is, IPv6 in brackets and however it is shortened."""
        self.assertTrue(matches("10.0.0.5:5000", "10.0.0.5", 5000))
        self.assertTrue(matches("[::1]", "::1"))
        self.assertTrue(matches("[2001:DB8:0::1]:5000", "2001:db8::1", 5000))

    def test_what_is_no_registry_is_told_so(self) -> None:
        """URLs, paths, ports out of bounds, bare IPv6 and stars in the wrong place are refused in a sentence."""
        for text in (
            "",
            "https://quay.io",
            "quay.io/coreos",
            "quay.io:",
            "quay.io:0",
            "quay.io:65536",
            "::1",
            "*.",
            "*quay.io",
            "a.*.io",
            "*.*.io",
            "*.10.0.0.5",
            "*.[::1]",
        ):
            with self.assertRaises(InvalidAuthority) as caught:
                RegistryPattern.parse(text)
            self.assertTrue(str(caught.exception).startswith(repr(text)), text)

    def test_a_lone_star_is_refused(self) -> None:
        """It would intercept the world."""
        for text in ("*", "*:443"):
            with self.assertRaises(InvalidAuthority) as caught:
                RegistryPattern.parse(text)
            self.assertIn("would stand in for every host there is", str(caught.exception))

    def test_a_list_may_mean_any_port(self) -> None:
        """Where no port is the default, an entry without one means them all."""
        pattern = RegistryPattern.parse("example.com", None)
        self.assertTrue(pattern.matches(Authority("example.com", 22)))
        pattern = RegistryPattern.parse("example.com:443", None)
        self.assertFalse(pattern.matches(Authority("example.com", 22)))

    @given(st.text() | st.text("*.:[]a0-/", max_size=12))
    @example("*.a:443")
    def test_any_text_is_a_pattern_or_refused(self, text: str) -> None:
        """Whatever the text, there is a pattern of it, or L{InvalidAuthority}."""
        try:
            RegistryPattern.parse(text)
        except InvalidAuthority as e:
            self.assertTrue(str(e))

    @given(PATTERNS, st.sampled_from([443, None]))
    def test_what_is_written_is_read_again(self, pattern: RegistryPattern, default_port: int | None) -> None:
        """Writing a pattern and reading it changes nothing, be there a default port or not."""
        if pattern.port is None and default_port is not None:
            pattern = RegistryPattern(pattern.host, default_port, pattern.is_suffix)
        self.assertEqual(RegistryPattern.parse(pattern.as_text(default_port), default_port), pattern)

    @given(HOSTS, PORTS)
    def test_an_authority_is_a_pattern_of_itself(self, host: str, port: int) -> None:
        """Whatever a client may CONNECT to can be listed as it stands, and is then meant."""
        authority = Authority(host, port)
        self.assertTrue(RegistryPattern.parse(str(authority)).matches(authority))


class TableTests(SynchronousTestCase):
    """L{RegistryTable}."""

    def test_docker_hub_always_belongs(self) -> None:
        """Its registry and its token server are listed, whatever the operator lists."""
        table = RegistryTable.of([])
        for host in ("registry-1.docker.io", "auth.docker.io"):
            self.assertTrue(table.is_listed(Authority(host, 443)))
        self.assertFalse(table.is_listed(Authority("hub.docker.com", 443)))

    def test_a_table_can_be_of_just_these(self) -> None:
        """Lists of other things than what is intercepted have no Docker Hub in them."""
        table = RegistryTable.of_these_only([RegistryPattern("quay.io")])
        self.assertTrue(table.is_listed(Authority("quay.io", 443)))
        self.assertFalse(table.is_listed(Authority("auth.docker.io", 443)))

    def test_twice_is_once(self) -> None:
        """Naming Docker Hub, or anything else, again changes nothing."""
        hub = RegistryPattern.parse("auth.docker.io:443")
        self.assertEqual(RegistryTable.of([hub, hub]), RegistryTable.of([]))
