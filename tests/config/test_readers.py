"""Tests of L{registryproxy.config.readers} and L{registryproxy.config.kinds}."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config import kinds
from registryproxy.config.kinds import Kind
from registryproxy.config.settings import all_settings
from registryproxy.config.units import Unreadable
from registryproxy.policy.registries import RegistryPattern, RegistryTable
from registryproxy.wire.authority import Authority

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z][a-z0-9]{1,5}){1,2}", fullmatch=True)
PORTS = st.integers(1, 65535)
PATTERNS = st.builds(RegistryPattern, NAMES, PORTS, st.booleans())
ANY_PORT_PATTERNS = st.builds(RegistryPattern, NAMES, PORTS | st.none(), st.booleans())
URLS = st.builds("https://{}:{}".format, NAMES, PORTS)
# What the grammars are made of, so that examples get further than their first character.
MORSELS = st.lists(
    st.sampled_from(
        [*"*.:[]=/\\ ,-_0189afzAF\0\n(){}?+|", "::1", "tcp:", "https://", "65536", "443", "(?i)"]
    ),
    max_size=12,
).map("".join)


def tables(patterns: st.SearchStrategy[RegistryPattern]) -> st.SearchStrategy[RegistryTable]:
    """Make tables of just these patterns."""
    return st.lists(patterns, max_size=4).map(RegistryTable.of_these_only)


VALUES: Iterable[tuple[Kind[Any], st.SearchStrategy[Any]]] = [
    (kinds.BOOLEAN, st.booleans()),
    (kinds.SIZE, st.integers(0, 2**63 - 1)),
    (kinds.TIMEOUT, st.integers(1, 10**10).map(lambda milliseconds: milliseconds / 1000)),
    (kinds.PLAIN, st.text()),
    (kinds.WORDS, st.lists(NAMES).map(tuple)),
    (kinds.PATH, st.text(st.characters(exclude_characters="\0"), min_size=1)),
    (kinds.PATH_IF_ANY, st.none() | NAMES),
    (kinds.REGISTRIES, st.lists(PATTERNS, max_size=4).map(RegistryTable.of)),
    (kinds.HOSTS, tables(ANY_PORT_PATTERNS)),
    (kinds.PORTS, st.lists(PORTS).map(tuple)),
    (kinds.ENDPOINTS, st.lists(st.builds("tcp:{}:interface={}".format, PORTS, NAMES)).map(tuple)),
    (kinds.UPSTREAMS, st.lists(st.tuples(NAMES, URLS)).map(tuple)),
    (kinds.PROXY, st.none() | URLS),
    (kinds.NETWORKS, st.lists(st.ip_addresses().map(ip_network), max_size=4).map(tuple)),
    (kinds.WORKERS, st.none() | st.integers(1, 9999)),
    (kinds.choice("", "text", "json"), st.sampled_from(["", "text", "json"])),
]


class EveryKindTests(SynchronousTestCase):
    """What holds for each kind of value."""

    @given(st.text() | MORSELS)
    @example("(?a)(?u)x")
    @example("a{99999999999}")
    @example("https://[::1")
    def test_any_text_is_a_value_or_refused(self, text: str) -> None:
        """Whatever the text, each kind makes a value of it, or raises L{Unreadable} with a fault."""
        for setting in all_settings():
            try:
                setting.kind.read(text)
            except Unreadable as e:
                self.assertTrue(e.fault)

    @given(st.data())
    def test_what_is_written_is_read_again(self, data: st.DataObject) -> None:
        """Writing a value and reading it changes nothing."""
        kind, values = data.draw(st.sampled_from(list(VALUES)))
        value = data.draw(values)
        self.assertEqual(kind.read(kind.write(value)), value)

    def test_defaults_are_written_as_they_are_declared(self) -> None:
        """The text of each default is what is written of its value."""
        for setting in all_settings():
            self.assertEqual(setting.kind.write(setting.kind.read(setting.default)), setting.default)


class ReaderTests(SynchronousTestCase):
    """What each kind takes, and what it says of the rest."""

    def assert_faults(self, kind: Kind[Any], **faults: str) -> None:
        """Check what is said of each text; its underscores stand for what no keyword has."""
        for text, fault in faults.items():
            with self.assertRaises(Unreadable) as caught:
                kind.read(text)
            self.assertIn(fault, str(caught.exception))

    def test_truth_has_many_words(self) -> None:
        """true, yes, on and 1 are true, their opposites false, whatever the case, and nothing else is either."""
        self.assertEqual({kinds.BOOLEAN.read(text) for text in ("true", "TRUE", "yes", "On", " 1 ")}, {True})
        self.assertEqual({kinds.BOOLEAN.read(text) for text in ("false", "False", "no", "off", "0")}, {False})
        self.assert_faults(kinds.BOOLEAN, maybe="is neither true nor false")

    def test_a_timeout_is_some_time(self) -> None:
        """No time at all would fail everything at once, and is refused."""
        self.assert_faults(kinds.TIMEOUT, **{"0": "leaves no time at all", "0ms": "leaves no time at all"})

    def test_keeping_alive_may_be_no_time(self) -> None:
        """A time that is no timeout may be zero."""
        self.assertEqual(kinds.TIME.read("0"), 0)

    def test_a_regex_that_nginx_reads_otherwise_is_refused(self) -> None:
        """A class of POSIX would be a set of letters here; and what does not compile is told with its reason."""
        self.assert_faults(
            kinds.REGEX,
            **{"[[:digit:]]+": "[:digit:], a class of POSIX", "(": "is not a regular expression (missing )"},
        )

    def test_a_regex_is_read_in_silence(self) -> None:
        """What re may read otherwise some day is no matter for the operator."""
        self.assertTrue(kinds.REGEX.read("[[a]").match("["))
        self.assertEqual(self.flushWarnings(), [])

    def test_ports_are_within_their_bounds(self) -> None:
        """1 and 65535 are ports; 0, 65536 and words are none."""
        self.assertEqual(kinds.PORTS.read("443 1 65535"), (443, 1, 65535))
        for text in ("0", "65536", "https", "443,8443", "-1"):
            self.assert_faults(kinds.PORTS, **{text: "is not a port within 1 to 65535"})

    def test_endpoints_are_checked_as_far_as_can_be(self) -> None:
        """Each has a kind in front, and TCP a port; the rest is for Twisted to judge."""
        text = r"tcp:3128:interface=\:\: unix:/run/proxy.sock systemd:domain=INET:name=proxy tcp:port=0"
        self.assertEqual(kinds.ENDPOINTS.read(text), tuple(text.split()))
        self.assert_faults(
            kinds.ENDPOINTS,
            **{"3128": "is not an endpoint", ":3128": "is not an endpoint", "tcp:": "is not an endpoint"},
        )
        for text in ("tcp:65536", "tcp:http", "tcp:interface=127.0.0.1"):
            self.assert_faults(kinds.ENDPOINTS, **{text: "has a port that is not within 0 to 65535"})

    def test_registries_say_what_is_wrong_with_one_of_them(self) -> None:
        """Of a list, the entry that is at fault is named, once."""
        with self.assertRaises(Unreadable) as caught:
            kinds.REGISTRIES.read("quay.io https://gcr.io")
        self.assertEqual(str(caught.exception), "'https://gcr.io' is neither host, host:port nor *.suffix")
        self.assert_faults(kinds.REGISTRIES, **{"*": "would stand in for every host there is"})

    def test_hosts_mean_any_port(self) -> None:
        """A host to tunnel to, or to trust unseen, means each of its ports unless it names one."""
        table = kinds.HOSTS.read("example.com example.org:8443")
        asked = [("example.com", 443), ("example.com", 22), ("example.org", 8443), ("example.org", 443)]
        self.assertEqual([table.is_listed(Authority(*each)) for each in asked], [True, True, True, False])

    def test_insecure_registries_do_not_take_in_docker_hub(self) -> None:
        """Only what is named is trusted unseen."""
        self.assertFalse(kinds.HOSTS.read("registry.lan").is_listed(Authority("auth.docker.io", 443)))

    def test_proxies_and_upstreams_are_urls_of_http(self) -> None:
        """Other schemes, and what has no host, are refused."""
        self.assertEqual(kinds.PROXY.read(" http://user:pw@proxy:3128 "), "http://user:pw@proxy:3128")
        self.assertEqual(kinds.UPSTREAMS.read("a.b=http://10.0.0.5:5000"), (("a.b", "http://10.0.0.5:5000"),))
        for text in ("proxy:3128", "socks5://proxy", "http://", "http://proxy:0", "http://[::1"):
            self.assert_faults(kinds.PROXY, **{text: "is not a URL of http or https"})
        for text in ("a.b", "=http://a", "a.b=ftp://c"):
            self.assert_faults(kinds.UPSTREAMS, **{text: "is not a registry and a URL joined by ="})

    def test_networks_have_nothing_behind_their_prefix(self) -> None:
        """An address is a network of one; bits behind the prefix are a mistake, and refused."""
        self.assertEqual(kinds.NETWORKS.read("10.0.0.0/8 ::1"), (ip_network("10.0.0.0/8"), ip_network("::1")))
        self.assert_faults(kinds.NETWORKS, **{"10.0.0.1/8": "is not a network", "lan": "is not a network"})

    def test_workers_are_counted_or_auto(self) -> None:
        """auto leaves the number open; none at all is refused."""
        self.assertEqual([kinds.WORKERS.read(text) for text in ("1", "16", "Auto")], [1, 16, None])
        for text in ("0", "-1", "many", "10000", ""):
            self.assert_faults(kinds.WORKERS, **{text: "is not a number of processes"})

    def test_a_choice_names_its_words(self) -> None:
        """Whoever chose otherwise is told what there is to choose."""
        kind = kinds.choice("open", "listed", "any")
        self.assertEqual(kind.read(" Listed"), "listed")
        self.assert_faults(kind, closed="'closed' is not open, listed or any")

    def test_a_long_value_is_cut(self) -> None:
        """A message stays a sentence, however long the value is."""
        with self.assertRaises(Unreadable) as caught:
            kinds.BOOLEAN.read("x" * 10_000)
        self.assertLess(len(str(caught.exception)), 200)
