"""Tests of L{registryproxy.config.sources}."""

import json
from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.config.settings import all_settings
from registryproxy.config.sources import InForce, Source, fold, known_keys
from registryproxy.errors import ConfigError

SECRETS = ("auth_registries", "client_credentials", "https_proxy")
# A value that is not the default, for each setting that has an effect.
OTHERS = {
    "listen": "tcp:3128:interface=127.0.0.1",
    "cache_dir": "/cache",
    "ca_dir": "/ca",
    "ca_crt_file": "/ca.crt",
    "ca_key_file": "/ca.key",
    "registries": "registry.example.com:5000",
    "verify_ssl": "false",
    "insecure_registries": "registry.lan",
    "upstream_ca_file": "/upstream.pem",
    "private_images": "shared",
    "enable_manifest_cache": "true",
    "manifest_cache_primary_regex": "latest",
    "manifest_cache_primary_time": "1m",
    "manifest_cache_secondary_regex": "v[0-9]",
    "manifest_cache_secondary_time": "1d",
    "manifest_cache_default_time": "2h",
    "no_proxy": "registry.lan",
    "tunnels": "listed",
    "tunnel_hosts": "example.com",
    "tunnel_ports": "8443",
    "disable_ipv6": "true",
    "client_header_timeout": "1s",
    "client_body_timeout": "2s",
    "send_timeout": "3s",
    "keepalive_timeout": "4s",
    "proxy_connect_timeout": "5s",
    "proxy_read_timeout": "6s",
    "proxy_connect_connect_timeout": "7s",
    "proxy_connect_read_timeout": "8s",
    "proxy_connect_send_timeout": "9s",
    "log_format": "text",
    "debug": "true",
    "debug_hub": "true",
    "debug_nginx": "true",
}


def no_file(path: str) -> str:
    """Have no files."""
    raise FileNotFoundError(2, "No such file or directory", path)


def folded(*sources: Source, files: Mapping[str, str] | None = None) -> InForce:
    """Fold sources, with these files at hand."""
    return fold(sources, no_file if files is None else files.__getitem__)


def environment(**variables: str) -> Source:
    """Make an environment."""
    return Source.from_environment(variables)


class SourceTests(SynchronousTestCase):
    """Whatever the source, each setting can be given."""

    def test_each_setting_has_a_value_that_is_not_its_default(self) -> None:
        """The table of this test leaves nothing out that has an effect."""
        self.assertEqual(set(OTHERS), {each.key for each in all_settings() if each.later is None})
        for each in all_settings():
            if each.key in OTHERS:
                self.assertNotEqual(each.kind.read(OTHERS[each.key]), each.kind.read(each.default), each.key)

    def test_each_setting_is_a_variable_an_option_and_a_key(self) -> None:
        """Environment, command line and TOML file make the same settings of the same texts."""
        by_environment = folded(environment(**{key.upper(): text for key, text in OTHERS.items()}))
        options = {key.replace("_", "-"): text for key, text in OTHERS.items()}
        by_option = folded(Source.from_options({**options, "workers": None}))
        document = "".join(f"{key} = {json.dumps(text)}\n" for key, text in OTHERS.items())
        by_file = folded(Source.from_toml(document))
        self.assertEqual(by_environment.config, by_option.config)
        self.assertEqual(by_environment.config, by_file.config)
        for each in all_settings():
            if each.key in OTHERS:
                value = getattr(by_file.config, each.key)
                self.assertEqual(value, each.kind.read(OTHERS[each.key]))

    @given(st.dictionaries(st.sampled_from(["default", "file", "environment", "option"]), st.integers(1, 99)))
    def test_the_last_word_wins(self, given_seconds: dict[str, int]) -> None:
        """Option beats environment beats file beats default, whichever of them say something."""
        texts = {origin: f"{seconds}s" for origin, seconds in given_seconds.items()}
        sources = [
            Source.of("default", {"send_timeout": texts["default"]} if "default" in texts else {}),
            Source.from_toml(f'send_timeout = "{texts["file"]}"' if "file" in texts else ""),
            environment(**({"SEND_TIMEOUT": texts["environment"]} if "environment" in texts else {})),
            Source.from_options({"send-timeout": texts.get("option")}),
        ]
        last = next(
            (each for each in ("option", "environment", "file", "default") if each in texts), "default"
        )
        found = folded(*sources)
        self.assertEqual(found.config.send_timeout, given_seconds.get(last, 60))
        self.assertEqual(found.origins["send_timeout"], last)

    def test_what_is_overridden_need_not_be_readable(self) -> None:
        """Only the source that wins is read."""
        found = folded(environment(SEND_TIMEOUT="soon"), Source.from_options({"send-timeout": "5s"}))
        self.assertEqual(found.config.send_timeout, 5)

    def test_places_are_defaults(self) -> None:
        """Where things live is told by the machine, until somebody says otherwise."""
        machine = Source.from_defaults("/state/cache", "/state/ca")
        found = folded(machine, environment(CA_DIR="/ca"))
        self.assertEqual((found.config.cache_dir, found.config.ca_dir), ("/state/cache", "/ca"))
        self.assertEqual((found.origins["cache_dir"], found.origins["ca_dir"]), ("default", "environment"))


class EnvironmentTests(SynchronousTestCase):
    """What is particular to the environment."""

    def test_an_empty_variable_is_none(self) -> None:
        """docker compose passes on what is not set as empty, and that leaves the default alone."""
        empty = environment(**{key.upper(): "" for key in known_keys() if key != "admin_listen"})
        self.assertEqual(folded(empty), folded())

    def test_an_empty_admin_listen_is_none_at_all(self) -> None:
        """Empty is how the admin port is switched off."""
        self.assertEqual(folded(environment(ADMIN_LISTEN="")).config.admin_listen, ())

    def test_what_is_not_ours_is_not_looked_at(self) -> None:
        """The environment is everybody's: unknown names, and known ones in lower case, mean nothing."""
        self.assertEqual(folded(environment(PATH="/bin", send_timeout="5s", SEND_TIMEOUTS="5s")), folded())


class TomlTests(SynchronousTestCase):
    """What is particular to the TOML file."""

    def refusal(self, document: str) -> str:
        """Tell with which sentence a document is refused."""
        with self.assertRaises(ConfigError) as caught:
            folded(Source.from_toml(document))
        return str(caught.exception)

    def test_booleans_numbers_and_arrays_may_be_written_as_such(self) -> None:
        """A file need not put everything between quotes."""
        config = folded(
            Source.from_toml(
                "enable_manifest_cache = true\nsend_timeout = 5\nproxy_read_timeout = 90\nworkers = 1\n"
                'tunnel_ports = [443, 8443]\nregistries = ["quay.io", "*.example.com:5000"]\n'
            )
        ).config
        self.assertEqual((config.enable_manifest_cache, config.send_timeout), (True, 5))
        self.assertEqual(config.tunnel_ports, (443, 8443))
        self.assertEqual(
            [str(each) for each in config.registries.patterns[2:]], ["quay.io", "*.example.com:5000"]
        )

    def test_an_empty_array_is_an_empty_list(self) -> None:
        """A file says that there is none by an empty array, or an empty text."""
        for nothing in ("[]", '""'):
            config = folded(Source.from_toml(f"registries = {nothing}")).config
            self.assertEqual(len(config.registries.patterns), 2)

    def test_an_unknown_key_is_told_with_the_nearest(self) -> None:
        """Whoever mistypes is shown what he may have meant."""
        for key, near in {"cache_dri": "cache_dir", "CACHE_DIR": "cache_dir", "listem": "listen"}.items():
            self.assertEqual(
                self.refusal(f'{key} = "x"'), f"'{key}': there is no such setting; did you mean {near}?"
            )

    def test_types_that_no_setting_has_are_refused(self) -> None:
        """Tables, dates, and arrays where no list is meant, are told with an example."""
        self.assertEqual(
            self.refusal("[listen]\nport = 3128"),
            "LISTEN: a table is no value for it; write for example listen = 'tcp:3128:interface=127.0.0.1'",
        )
        self.assertEqual(
            self.refusal("cache_max_size = [32]"),
            "CACHE_MAX_SIZE: an array is no value for it; write for example cache_max_size = '32g'",
        )
        self.assertIn("a date is no value", self.refusal("send_timeout = 2026-11-23"))
        self.assertIn("an array is no value", self.refusal("registries = [['quay.io']]"))

    def test_a_member_of_an_array_is_one_word(self) -> None:
        """A member that would fall into two, or vanish, is refused."""
        for member in ("quay.io gcr.io", "", " quay.io"):
            self.assertIn("is not one member of a list", self.refusal(f'registries = ["{member}"]'))

    def test_a_mistake_is_told_with_its_line(self) -> None:
        """What is no TOML is told where."""
        self.assertRegex(self.refusal("listen = \n"), r"this is not TOML: .*line 1")

    @given(st.text() | st.text("ab_=[]{}\"'\n.,0123456789-T:# ", max_size=40))
    @example("a=" + "[" * 5000)
    def test_any_document_is_settings_or_refused(self, document: str) -> None:
        """Whatever the file holds, there are settings of it, or a L{ConfigError}."""
        try:
            Source.from_toml(document)
        except ConfigError as e:
            self.assertTrue(str(e))


class SecretTests(SynchronousTestCase):
    """Secrets that stand in files of their own."""

    def refusal(self, *sources: Source, files: Mapping[str, str] | None = None) -> str:
        """
        Tell with which sentence a secret is refused.

        None of the settings that hold one is built yet, so that it is the refusal which shows that it was read.
        """
        with self.assertRaises(ConfigError) as caught:
            folded(*sources, files=files)
        return str(caught.exception)

    def test_each_secret_may_stand_in_a_file(self) -> None:
        """Exactly the settings that hold secrets have a NAME_FILE, in every source."""
        keys = {each.key for each in all_settings()}
        self.assertEqual({f"{each}_file" for each in SECRETS}, set(known_keys()) - keys)
        for source in (
            environment(HTTPS_PROXY_FILE="/run/secrets/x"),
            Source.from_options({"https-proxy-file": "/run/secrets/x"}),
            Source.from_toml('https_proxy_file = "/run/secrets/x"'),
        ):
            self.assertEqual(source.files, {"https_proxy": "/run/secrets/x"})
            self.assertIn(
                "is not built yet", self.refusal(source, files={"/run/secrets/x": "http://proxy\n"})
            )

    def test_one_newline_is_not_a_part_of_it(self) -> None:
        """Editors end a file with a newline; what is before it, spaces and newlines too, is the secret."""
        source = environment(CLIENT_CREDENTIALS_FILE="/x")
        self.assertEqual(folded(source, files={"/x": "\n"}).config.client_credentials, "")
        for more in ("\n\n", " \n"):
            self.assertIn("is not built yet", self.refusal(source, files={"/x": more}))

    def test_a_file_that_cannot_be_read_is_told(self) -> None:
        """The sentence has the path, the reason and an example."""
        self.assertEqual(
            self.refusal(environment(HTTPS_PROXY_FILE="/run/secrets/x")),
            "HTTPS_PROXY_FILE: '/run/secrets/x' cannot be read (No such file or directory);"
            " write for example /run/secrets/https_proxy",
        )

        def binary(_path: str) -> str:
            return b"\xff".decode()

        with self.assertRaises(ConfigError) as caught:
            fold([environment(HTTPS_PROXY_FILE="/x")], binary)
        self.assertIn("(it is no text)", str(caught.exception))

    def test_both_ways_at_once_are_refused(self) -> None:
        """One source may not give a secret and its file."""
        with self.assertRaises(ConfigError) as caught:
            environment(HTTPS_PROXY="http://u:hunter2@x", HTTPS_PROXY_FILE="/x")
        self.assertEqual(
            str(caught.exception),
            "HTTPS_PROXY: it is given by HTTPS_PROXY_FILE as well; use one of them only",
        )

    def test_a_file_that_is_overridden_is_not_read(self) -> None:
        """An option beats the file that the environment names, even where there is no such file."""
        found = folded(environment(HTTPS_PROXY_FILE="/gone"), Source.from_options({"https-proxy": ""}))
        self.assertEqual((found.config.https_proxy, found.origins["https_proxy"]), (None, "option"))

    def test_an_empty_name_of_a_file_is_none(self) -> None:
        """An empty NAME_FILE in the environment leaves the value beside it alone."""
        self.assertEqual(folded(environment(HTTPS_PROXY_FILE="", HTTPS_PROXY="")), folded())
