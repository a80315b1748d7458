"""The command C{registryproxy}: what there is to be told without starting the proxy."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from registryproxy import __version__
from registryproxy.config.describe import markdown

_HELP = """\
The caching proxy in front of every container registry.

The proxy itself is run by twistd:

    twistd --nodaemon --pidfile= registryproxy

    twistd registryproxy --help              tells its options
    twistd registryproxy --check             tells the settings in force, and what is wrong with them
"""


class _Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one sentence."""

    def error(self, message: str) -> NoReturn:
        """See L{argparse.ArgumentParser.error}."""
        self.exit(2, f"registryproxy: {message}; see registryproxy --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="registryproxy", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"registryproxy {__version__}")
    parser.add_argument(
        "command",
        nargs="?",
        choices=["settings"],
        help="settings: print the table of all settings, in Markdown",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what is asked.

    @param arguments: of the command line, without the program's name; by default those of the process.
    @return: the exit status.
    """
    parser = _parser()
    command = parser.parse_args(arguments).command
    if command == "settings":
        sys.stdout.write(markdown())
    else:
        parser.print_help()
    return 0
