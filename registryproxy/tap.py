"""The command line of C{twistd registryproxy}: from options, environment and file to L{Config}, and to a service."""

import os
import socket
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import platformdirs
from attrs import evolve
from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import serverFromString
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

from registryproxy import __version__
from registryproxy.config.describe import in_force
from registryproxy.config.listening import IPStack, default_endpoints
from registryproxy.config.settings import Config, all_settings
from registryproxy.config.sources import InForce, Source, fold
from registryproxy.errors import CAUnusable, ConfigError
from registryproxy.logs import LineObserver, open_stream

_OWN = {
    "config": "A TOML file of settings; its keys are the names of the options with _ for -.",
    "check": "Print the settings in force, secrets masked, and end.",
    "version": "Print the version, and end.",
    "help": "Print this, and end.",
}


def _parameters() -> list[list[str | None]]:
    """Make an option of every setting, and of the file of every secret."""
    parameters: list[list[str | None]] = [["config", None, None, _OWN["config"]]]
    for each in all_settings():
        default = f" [{each.shown_default}]" if each.shown_default.strip() else ""
        later = " Not built yet." if each.later is not None else ""
        parameters.append([each.option, None, None, f"{each.help}{default}{later}"])
        if each.is_secret:
            parameters.append([f"{each.option}-file", None, None, f"A file that holds {each.name}."])
    return parameters


class Options(usage.Options):
    """
    Every setting as an option; the settings in force are made of them, the environment and the TOML file.

    @ivar config: the settings in force.
    """

    longdesc: ClassVar[str] = (
        "Every option can be given by an environment variable as well: CACHE_DIR is --cache-dir."
    )
    optParameters: ClassVar = _parameters()
    optFlags: ClassVar = [["check", None, _OWN["check"]]]
    config: Config

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """See L{usage.Options}; a mistake is told in one sentence, where twistd would print pages of usage."""
        try:
            usage.Options.parseOptions(self, options)
        except usage.UsageError as e:
            _refuse(f"{e}; see twistd registryproxy --help")

    def postOptions(self) -> None:
        """
        Read the settings.

        @raise SystemExit: if they cannot be read, or if it is only to be told what they are.
        """
        try:
            found = self._found()
            _check_endpoints(found.config)
        except ConfigError as e:
            _refuse(str(e))
        self.config = found.config
        if self["check"]:
            print(in_force(found.config, found.origins), end="")  # noqa: T201  this is what was asked for
            raise SystemExit(0)

    def _found(self) -> InForce:
        options = {name: text for name, text in self.items() if name not in _OWN}
        sources = [
            Source.from_defaults(
                cache_dir=_of_systemd("CACHE_DIRECTORY") or _in_state_folder("cache"),
                ca_dir=_of_systemd("STATE_DIRECTORY") or _in_state_folder("ca"),
            ),
            *([_from_file(self["config"])] if self["config"] is not None else []),
            Source.from_environment(os.environ),
            Source.from_options(options),
        ]
        found = fold(sources, _read_text)
        listen = found.config.listen or default_endpoints(ip_stack(), found.config.disable_ipv6)
        return evolve(found, config=evolve(found.config, listen=listen))

    def opt_version(self) -> NoReturn:
        """Print the version, and end."""
        print(f"registryproxy {__version__}")  # noqa: T201  this is what was asked for
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """Tell all options in the order of their declaration; some are so long that each has a line to itself."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        own = [(f"--{name}{'=' * (name == 'config')}", text) for name, text in _OWN.items()]
        settings = [(f"--{name}=", text or "") for name, _, _, text in _parameters()[1:]]
        lines = ["", *textwrap.wrap(self.longdesc, width), "", "Options:"]
        for option, text in [*own, *settings]:
            lines.append(f"  {option}")
            lines.extend(textwrap.wrap(text, width, initial_indent=" " * 8, subsequent_indent=" " * 8))
        return "\n".join(lines) + "\n"


def _refuse(sentence: str) -> NoReturn:
    raise SystemExit(f"registryproxy: {sentence}")


def _of_systemd(variable: str) -> str:
    """Tell the first of the directories that systemd made for us, colons between them."""
    return os.environ.get(variable, "").partition(":")[0]


def _in_state_folder(name: str) -> str:
    return str(Path(platformdirs.user_state_dir()) / "registryproxy" / name)


def _read_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _from_file(path: str) -> Source:
    try:
        return Source.from_toml(_read_text(path))
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path!r} cannot be read ({reason}); name a TOML file") from None
    except ConfigError as e:
        raise ConfigError(f"{path}: {e}") from None


def ip_stack() -> IPStack:
    """Find out what this machine can listen to, by binding a port of its choice and letting go of it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            is_v6_only = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            probe.bind(("::", 0))
    except OSError:
        return IPStack(has_ipv6=False, is_v6_only=False)
    return IPStack(has_ipv6=True, is_v6_only=bool(is_v6_only))


def _check_endpoints(config: Config) -> None:
    """
    Let Twisted read the endpoints, so that C{--check} finds what the start would.

    @raise ConfigError: if it cannot.
    """
    for name, endpoints in (("LISTEN", config.listen), ("ADMIN_LISTEN", config.admin_listen)):
        for each in endpoints:
            try:
                serverFromString(_reactor(), each)
            except Exception as e:  # noqa: BLE001  each kind of endpoint, and each plugin, has failures of its own
                reason = " ".join(str(e).split())
                raise ConfigError(
                    f"{name}: {each!r} is not an endpoint that Twisted can make ({reason});"
                    " write for example tcp:3128:interface=127.0.0.1"
                ) from None


def _reactor() -> Any:
    """Get hold of the reactor: nobody else imports it, everybody is given it."""
    from twisted.internet import reactor  # noqa: PLC0415  twistd installs the one that --reactor names before

    return reactor


class _LoggedService(MultiService):
    """Everything, and the log: twistd writes to the observer that an application brings along."""

    def __init__(self, open_observer: Callable[[], LineObserver]) -> None:
        MultiService.__init__(self)
        self._open_observer = open_observer

    def setServiceParent(self, parent: Any) -> None:
        """See L{IService.setServiceParent}."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._open_observer())
        MultiService.setServiceParent(self, parent)


def with_log(everything: IService, options: Options) -> IService:
    """
    Let twistd log as L{registryproxy.logs} does, unless the operator chose otherwise by C{--logger} or C{--syslog}.

    C{twist} asks no application for its observer, so that nothing is opened for it.
    """
    twistd = options.parent if options.parent is not None else {}
    if "nodaemon" not in twistd or twistd.get("logger") or twistd.get("syslog"):
        return everything
    service = _LoggedService(lambda: LineObserver.of(open_stream(twistd), options.config.log_format))
    everything.setServiceParent(service)
    return service


def makeService(options: Options) -> IService:
    """
    Build the service that the settings describe.

    @raise SystemExit: if they turn out not to work.
    """
    from registryproxy.service import make_service  # noqa: PLC0415  --check and --help need none of the rooms

    try:
        everything = make_service(options.config, _reactor())
    except (ConfigError, CAUnusable) as e:
        _refuse(str(e))
    return with_log(everything, options)
