"""Tests of L{registryproxy.config.settings}: what is declared, and what is refused."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config.setting import Setting
from registryproxy.config.settings import Config, all_settings
from registryproxy.errors import ConfigError

OF_THE_SEED = """
REGISTRIES AUTH_REGISTRIES AUTH_REGISTRIES_DELIMITER AUTH_REGISTRY_DELIMITER ENABLE_MANIFEST_CACHE
MANIFEST_CACHE_PRIMARY_REGEX MANIFEST_CACHE_PRIMARY_TIME MANIFEST_CACHE_SECONDARY_REGEX MANIFEST_CACHE_SECONDARY_TIME
MANIFEST_CACHE_DEFAULT_TIME CACHE_MAX_SIZE CACHE_INACTIVE ALLOW_PUSH VERIFY_SSL PROXY_REQUEST_BUFFERING SEND_TIMEOUT
CLIENT_BODY_TIMEOUT CLIENT_HEADER_TIMEOUT PROXY_READ_TIMEOUT PROXY_CONNECT_TIMEOUT PROXY_SEND_TIMEOUT
PROXY_CONNECT_READ_TIMEOUT PROXY_CONNECT_CONNECT_TIMEOUT PROXY_CONNECT_SEND_TIMEOUT KEEPALIVE_TIMEOUT DISABLE_IPV6
CA_KEY_FILE CA_CRT_FILE DEBUG DEBUG_HUB DEBUG_NGINX
"""
OURS = """
LISTEN ADMIN_LISTEN CACHE_DIR CA_DIR UPSTREAM_ENDPOINTS UPSTREAM_CA_FILE INSECURE_REGISTRIES HTTPS_PROXY NO_PROXY
TUNNELS TUNNEL_HOSTS TUNNEL_PORTS CLIENT_NETWORKS CLIENT_CREDENTIALS PRIVATE_IMAGES OFFLINE WORKERS LOG_FORMAT
"""
NOT_YET = {
    "AUTH_REGISTRIES": "auth.docker.io:alice:hunter2",
    "AUTH_REGISTRIES_DELIMITER": ";;;",
    "AUTH_REGISTRY_DELIMITER": ":::",
    "CACHE_MAX_SIZE": "33g",
    "CACHE_INACTIVE": "59d",
    "ALLOW_PUSH": "true",
    "PROXY_REQUEST_BUFFERING": "false",
    "PROXY_SEND_TIMEOUT": "61s",
    "ADMIN_LISTEN": "tcp:3130",
    "UPSTREAM_ENDPOINTS": "quay.io=https://other.example.com",
    "HTTPS_PROXY": "http://alice:hunter2@proxy.example.com:3128",
    "CLIENT_NETWORKS": "10.0.0.0/8",
    "CLIENT_CREDENTIALS": "alice:hunter2",
    "OFFLINE": "true",
    "WORKERS": "2",
}


def named(name: str) -> Setting:
    """Find a setting."""
    return next(each for each in all_settings() if each.name == name)


def refusal(name: str, text: str) -> str:
    """Tell with which sentence a value is refused, or nothing."""
    try:
        named(name).read(text)
    except ConfigError as e:
        return str(e)
    return ""


class DeclarationTests(SynchronousTestCase):
    """What settings there are."""

    def test_the_settings_are_those_of_the_design(self) -> None:
        """Each name of the seed and each of ours is there, and no other."""
        self.assertEqual({each.name for each in all_settings()}, {*OF_THE_SEED.split(), *OURS.split()})

    def test_the_seeds_are_known_as_such(self) -> None:
        """Whoever comes from the seed finds all of its settings marked."""
        self.assertEqual({each.name for each in all_settings() if each.is_of_seed}, set(OF_THE_SEED.split()))

    def test_defaults_are_the_seeds(self) -> None:
        """What the seed's settings are when nobody sets them."""
        config = Config()
        self.assertEqual(
            [str(each) for each in config.registries.patterns],
            ["registry-1.docker.io", "auth.docker.io", "registry.k8s.io", "gcr.io", "quay.io", "ghcr.io"],
        )
        self.assertEqual((config.cache_max_size, config.cache_inactive), (32 * 2**30, 60 * 86400))
        self.assertEqual((config.verify_ssl, config.disable_ipv6, config.allow_push), (True, False, False))
        self.assertEqual((config.proxy_request_buffering, config.keepalive_timeout), (True, 300))
        timeouts = [each.key for each in all_settings() if each.key.endswith("_timeout")]
        self.assertEqual({getattr(config, each) for each in timeouts if each != "keepalive_timeout"}, {60})

    def test_tiers_are_made_of_their_settings(self) -> None:
        """The seed's tags fall into the seed's tiers, once these are enabled."""
        tiers = evolve(Config(), enable_manifest_cache=True).tiers
        tags = ("stable", "1.2.3", "latest")
        self.assertEqual([tiers.tier_of(tag).lifetime for tag in tags], [600, 60 * 86400, 3600])
        self.assertEqual(Config().tiers.tier_of("1.2.3").lifetime, 0)

    def test_secrets_are_not_in_the_repr(self) -> None:
        """Whoever prints a Config by mistake tells no secret."""
        config = Config(
            auth_registries="hunter2", client_credentials="hunter2", https_proxy="http://u:hunter2@x"
        )
        self.assertNotIn("hunter2", repr(config))

    def test_each_is_explained_and_exemplified(self) -> None:
        """Each setting has a sentence of help and an example that can be read."""
        for each in all_settings():
            self.assertTrue(each.help.endswith("."), each.name)
            for example in each.example.split(" or "):
                each.kind.read(example)


class ReadingTests(SynchronousTestCase):
    """L{Setting.read}."""

    def test_what_cannot_be_read_is_told_with_name_fault_and_example(self) -> None:
        """The sentence is one that a person can act upon."""
        self.assertEqual(
            refusal("CACHE_MAX_SIZE", "32q"),
            "CACHE_MAX_SIZE: '32q' is not a size; write for example 32g or 500m",
        )
        self.assertEqual(
            refusal("VERIFY_SSL", "maybe"),
            "VERIFY_SSL: 'maybe' is neither true nor false; write for example true",
        )
        self.assertEqual(
            refusal("TUNNEL_PORTS", "443 99999"),
            "TUNNEL_PORTS: '99999' is not a port within 1 to 65535; write for example 443 8443",
        )

    def test_a_secret_is_not_told(self) -> None:
        """Of a secret that cannot be read, no part is in the sentence."""
        self.assertEqual(
            refusal("HTTPS_PROXY", "alice:hunter2@proxy"),
            "HTTPS_PROXY: the value cannot be read; write for example http://proxy.example.com:3128",
        )
        self.assertNotIn("hunter2", refusal("AUTH_REGISTRIES", "quay.io:alice:hunter2"))

    def test_what_is_not_built_yet_is_refused(self) -> None:
        """Each of these says in one sentence what is the case today and how to be left alone."""
        self.assertEqual({each.name for each in all_settings() if each.later is not None}, set(NOT_YET))
        for name, text in NOT_YET.items():
            sentence = refusal(name, text)
            self.assertTrue(sentence.startswith(f"{name}: "), name)
            self.assertRegex(sentence, r"not built yet|yet, and only")
            self.assertRegex(sentence, r"; leave it (at .+|unset)\Z")
            self.assertNotIn("hunter2", sentence)
        self.assertEqual(
            refusal("WORKERS", "2"),
            "WORKERS: more than one serving process is not built yet; leave it at 1",
        )

    def test_the_default_is_not_refused(self) -> None:
        """Values count, not how they are written: 32768m is 32g."""
        for each in all_settings():
            self.assertEqual(each.read(each.default), each.kind.read(each.default))
        for name, text in {
            "CACHE_MAX_SIZE": "32768m",
            "CACHE_INACTIVE": "1440h",
            "OFFLINE": "no",
            "PROXY_SEND_TIMEOUT": "1m",
        }.items():
            self.assertEqual(refusal(name, text), "")

    def test_what_is_not_built_yet_must_be_readable(self) -> None:
        """A mistake is told as such, before anything else."""
        self.assertEqual(
            refusal("WORKERS", "some"),
            "WORKERS: 'some' is not a number of processes; write for example 2 or auto",
        )

    def test_no_admin_port_may_be_asked_for(self) -> None:
        """An empty ADMIN_LISTEN asks for what is the case already."""
        self.assertEqual(named("ADMIN_LISTEN").read(""), ())


class TogetherTests(SynchronousTestCase):
    """Settings that must fit each other."""

    def test_ports_of_tunnels(self) -> None:
        """With TUNNELS=any all ports may be tunnelled to, unless others than the default are set."""
        self.assertEqual(Config().ports_of_tunnels, (443,))
        self.assertIsNone(Config(tunnels="any").ports_of_tunnels)
        self.assertEqual(Config(tunnels="any", tunnel_ports=(443, 8443)).ports_of_tunnels, (443, 8443))

    def test_half_an_authority_is_none(self) -> None:
        """A certificate without its key, or the other way round, stops the start."""
        with self.assertRaises(ConfigError) as caught:
            Config(ca_crt_file="/ca.crt")
        self.assertEqual(
            str(caught.exception),
            "CA_KEY_FILE: it is not set, although CA_CRT_FILE is; write for example /etc/registryproxy/ca.key",
        )
        with self.assertRaises(ConfigError) as caught:
            Config(ca_key_file="/ca.key")
        self.assertEqual(
            str(caught.exception),
            "CA_CRT_FILE: it is not set, although CA_KEY_FILE is; write for example /etc/registryproxy/ca.crt",
        )

    def test_a_whole_authority_is_one(self) -> None:
        """Both files together are what is wanted."""
        config = Config(ca_crt_file="/ca.crt", ca_key_file="/ca.key")
        self.assertEqual((config.ca_crt_file, config.ca_key_file), ("/ca.crt", "/ca.key"))
