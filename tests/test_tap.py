"""Tests of L{registryproxy.tap}: from the command line to the settings in force."""

import os
import socket
import sys
from io import StringIO
from pathlib import Path
from typing import NoReturn

from twisted.application.service import Application, IService, Service
from twisted.internet import endpoints
from twisted.logger import ILogObserver
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from registryproxy import __version__, tap
from registryproxy.config.listening import IPStack
from registryproxy.config.settings import Config, all_settings
from registryproxy.logs import LineObserver
from registryproxy.tap import Options, ip_stack, with_log


class TapTestCase(SynchronousTestCase):
    """A command line in an environment of its own."""

    def setUp(self) -> None:
        """Leave the environment of whoever runs the tests out of it."""
        self.out = StringIO()
        self.patch(sys, "stdout", self.out)
        self.environment()

    def environment(self, **variables: str) -> None:
        """Set the environment to just these variables, and a home."""
        self.patch(os, "environ", {"HOME": "/home/alice", "COLUMNS": "80", **variables})

    def file(self, content: str | bytes) -> str:
        """Write a file, and tell its path."""
        path = Path(self.mktemp())
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def config(self, *arguments: str) -> Config:
        """Parse a command line."""
        options = Options()
        options.parseOptions(arguments)
        return options.config

    def ending(self, *arguments: str) -> str | int | None:
        """Tell with which sentence or status a command line ends the process."""
        with self.assertRaises(SystemExit) as caught:
            self.config(*arguments)
        code: str | int | None = caught.exception.code
        return code

    def checked(self, *arguments: str) -> dict[str, tuple[str, str]]:
        """Tell what C{--check} prints: value and origin by name."""
        self.assertEqual(self.ending("--check", *arguments), 0)
        lines = [line.partition(" =") for line in self.out.getvalue().splitlines()]
        parts = {name: rest.rpartition("# ") for name, _, rest in lines}
        return {name: (value.strip(), origin) for name, (value, _, origin) in parts.items()}


class PrecedenceTests(TapTestCase):
    """Options, environment, file and defaults."""

    def test_each_setting_is_an_option(self) -> None:
        """And each secret has one for its file."""
        options = {name for name, *_ in Options.optParameters}
        for each in all_settings():
            self.assertIn(each.option, options)
            self.assertEqual(f"{each.option}-file" in options, each.is_secret)

    def test_the_last_word_wins(self) -> None:
        """Option beats environment beats file beats default."""
        path = self.file('send_timeout = "1s"\nproxy_read_timeout = "1s"\nclient_body_timeout = "1s"\n')
        self.environment(PROXY_READ_TIMEOUT="2s", CLIENT_BODY_TIMEOUT="2s")
        config = self.config("--config", path, "--client-body-timeout", "3s")
        self.assertEqual(
            (
                config.client_header_timeout,
                config.send_timeout,
                config.proxy_read_timeout,
                config.client_body_timeout,
            ),
            (60, 1, 2, 3),
        )

    def test_things_live_in_the_state_folder(self) -> None:
        """Of the user who runs the proxy, where nobody says otherwise."""
        config = self.config()
        state = "/home/alice/.local/state/registryproxy"
        self.assertEqual((config.cache_dir, config.ca_dir), (f"{state}/cache", f"{state}/ca"))

    def test_things_live_where_systemd_says(self) -> None:
        """CacheDirectory= and StateDirectory= of the unit; the first, where there are several."""
        self.environment(
            CACHE_DIRECTORY="/var/cache/registryproxy:/other", STATE_DIRECTORY="/var/lib/registryproxy"
        )
        config = self.config()
        self.assertEqual(
            (config.cache_dir, config.ca_dir), ("/var/cache/registryproxy", "/var/lib/registryproxy")
        )

    def test_things_live_where_the_operator_says(self) -> None:
        """A setting beats what systemd says."""
        self.environment(CACHE_DIRECTORY="/var/cache/registryproxy", CACHE_DIR="/docker_mirror_cache")
        self.assertEqual(self.config().cache_dir, "/docker_mirror_cache")

    def test_a_secret_is_read_from_its_file(self) -> None:
        """As UTF-8, without the newline at its end: what is left of this one is the default."""
        self.environment(CLIENT_CREDENTIALS_FILE=self.file("\n"))
        self.assertEqual(self.config().client_credentials, "")


class RefusalTests(TapTestCase):
    """One sentence, and status 1."""

    def test_a_value_that_cannot_be_read(self) -> None:
        """The sentence names the setting, its fault and an example."""
        self.assertEqual(
            self.ending("--cache-max-size", "32q"),
            "registryproxy: CACHE_MAX_SIZE: '32q' is not a size; write for example 32g or 500m",
        )

    def test_what_is_not_built_yet(self) -> None:
        """It is refused rather than ignored."""
        self.environment(WORKERS="2")
        self.assertEqual(
            self.ending(),
            "registryproxy: WORKERS: more than one serving process is not built yet; leave it at 1",
        )

    def test_secrets_are_not_told(self) -> None:
        """Neither by the refusal of a secret nor of its file."""
        for name, text in {
            "AUTH_REGISTRIES": "quay.io:alice:hunter2",
            "HTTPS_PROXY": "alice:hunter2@proxy",
            "CLIENT_CREDENTIALS_FILE": self.file("alice:hunter2"),
        }.items():
            self.environment(**{name: text})
            self.assertNotIn("hunter2", str(self.ending()))

    def test_an_endpoint_that_twisted_cannot_make(self) -> None:
        """C{--check} finds what the start would."""
        for text, reason in {
            "tpc:3128": "Unknown endpoint type: 'tpc'",
            "tcp:3128:interfaec=lo": "unexpected keyword argument",
            "ssl:3128:privateKey=/gone": "No such file or directory",
        }.items():
            sentence = str(self.ending("--check", "--listen", f"tcp:3128 {text}"))
            self.assertRegex(sentence, rf"\Aregistryproxy: LISTEN: '{text}' is not an endpoint .*({reason})")
            self.assertTrue(sentence.endswith("; write for example tcp:3128:interface=127.0.0.1"))
            self.assertEqual(sentence.count("\n"), 0)

    def test_a_file_that_cannot_be_read(self) -> None:
        """The sentence names the file."""
        self.assertEqual(
            self.ending("--config", "/gone.toml"),
            "registryproxy: '/gone.toml' cannot be read (No such file or directory); name a TOML file",
        )
        path = self.file(b"listen = '\xff'")
        self.assertEqual(
            self.ending("--config", path),
            f"registryproxy: {path!r} cannot be read (it is not UTF-8); name a TOML file",
        )

    def test_a_file_that_is_not_toml(self) -> None:
        """The sentence names the file and the line."""
        path = self.file("# settings\nlisten = \n")
        self.assertRegex(
            str(self.ending("--config", path)), rf"\Aregistryproxy: {path}: this is not TOML: .*line 2"
        )

    def test_a_key_that_is_no_setting(self) -> None:
        """The sentence names the file, the key and the nearest one."""
        path = self.file("cache_dri = '/cache'\n")
        self.assertEqual(
            self.ending("--config", path),
            f"registryproxy: {path}: 'cache_dri': there is no such setting; did you mean cache_dir?",
        )

    def test_an_option_that_is_none(self) -> None:
        """One sentence, and not pages of usage."""
        self.assertEqual(
            self.ending("--cache-dri", "/cache"),
            "registryproxy: option --cache-dri not recognized; see twistd registryproxy --help",
        )
        self.assertIn("see twistd registryproxy --help", str(self.ending("surplus")))


class CheckTests(TapTestCase):
    """C{--check}, C{--help} and C{--version}."""

    def test_check_prints_each_setting_and_where_it_comes_from(self) -> None:
        """One a line, and ends well."""
        path = self.file("tunnel_ports = [443, 8443]\n")
        self.environment(ENABLE_MANIFEST_CACHE="yes")
        found = self.checked("--config", path, "--send-timeout", "5s")
        self.assertEqual(list(found), [each.name for each in all_settings()])
        self.assertEqual(found["TUNNEL_PORTS"], ("443 8443", "file"))
        self.assertEqual(found["ENABLE_MANIFEST_CACHE"], ("true", "environment"))
        self.assertEqual(found["SEND_TIMEOUT"], ("5s", "option"))
        self.assertEqual(found["KEEPALIVE_TIMEOUT"], ("300s", "default"))
        self.assertEqual(found["CA_DIR"], ("/home/alice/.local/state/registryproxy/ca", "default"))

    def test_check_prints_where_it_would_listen(self) -> None:
        """Also where that was left to the proxy."""
        self.environment(DISABLE_IPV6="true")
        self.assertEqual(self.checked()["LISTEN"], ("tcp:3128:backlog=511", "default"))

    def test_help_names_each_option(self) -> None:
        """With what it means and its default, within the width of the terminal."""
        self.assertEqual(self.ending("--help"), 0)
        text = self.out.getvalue()
        for each in all_settings():
            self.assertIn(f"\n  --{each.option}=\n", text)
        for option in ("--config=", "--check", "--version", "--help"):
            self.assertIn(f"\n  {option}\n", text)
        self.assertIn("[tcp:3129:interface=127.0.0.1] Not built yet.", " ".join(text.split()))
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_version_is_ours(self) -> None:
        """And not Twisted's."""
        self.assertEqual(self.ending("--version"), 0)
        self.assertEqual(self.out.getvalue(), f"registryproxy {__version__}\n")


class ListenTests(TapTestCase):
    """Where the proxy listens."""

    def test_what_the_operator_says_is_taken_as_it_is(self) -> None:
        """All of it, in its order."""
        config = self.config("--listen", "tcp:3128:interface=127.0.0.1 tcp:3130")
        self.assertEqual(config.listen, ("tcp:3128:interface=127.0.0.1", "tcp:3130"))

    def test_the_default_depends_on_the_machine(self) -> None:
        """A machine without IPv6 is listened on all the same."""

        def no_ipv6(*_: object) -> NoReturn:
            raise OSError(97, "Address family not supported by protocol")

        self.patch(socket, "socket", no_ipv6)
        self.assertEqual(ip_stack(), IPStack(has_ipv6=False, is_v6_only=False))
        self.assertEqual(self.config().listen, ("tcp:3128:backlog=511",))

    def test_the_default_can_be_made(self) -> None:
        """Whatever is chosen here, Twisted makes endpoints of it."""
        for each in self.config().listen:
            self.assertIsInstance(
                endpoints.serverFromString(None, each),
                (endpoints.TCP4ServerEndpoint, endpoints.TCP6ServerEndpoint),
            )


class LogTests(TapTestCase):
    """L{with_log}: who writes the log."""

    def observer(self, *arguments: str) -> object:
        """Tell which observer twistd would find, given these options of its own, and check that the service runs."""
        twistd = ServerOptions()
        twistd.parseOptions([*arguments, "registryproxy", "--log-format", "json"])
        application = Application("registryproxy")
        everything = Service()
        service = with_log(everything, twistd.subOptions)
        service.setServiceParent(application)
        IService(application).startService()
        self.assertTrue(everything.running)
        return application.getComponent(ILogObserver, None)

    def test_twistd_finds_ours(self) -> None:
        """The application brings along an observer that writes as LOG_FORMAT says."""
        observer = self.observer("--nodaemon", "--logfile", self.mktemp())
        assert isinstance(observer, LineObserver)
        self.assertTrue(observer.is_json)

    def test_the_operators_choice_goes_first(self) -> None:
        """With C{--logger} or C{--syslog} the application brings none along."""
        self.assertIs(self.observer("--nodaemon", "--logger", "registryproxy.logs.LineObserver"), None)
        self.assertIs(self.observer("--nodaemon", "--syslog"), None)

    def test_twist_is_left_alone(self) -> None:
        """C{twist} would not ask, so that no file is opened for it."""
        options = Options()
        options.parseOptions([])
        everything = Service()
        self.assertIs(with_log(everything, options), everything)

    def test_the_reactor_is_the_one_that_runs(self) -> None:
        """Whoever is given a reactor is given the process's own."""
        self.assertIs(tap._reactor(), sys.modules["twisted.internet.reactor"])
