"""Tests of L{registryproxy.cli}."""

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from registryproxy import __version__
from registryproxy.cli import main
from registryproxy.config.describe import markdown


class CommandTests(SynchronousTestCase):
    """The command C{registryproxy}."""

    def run_with(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; tell its exit status and what it wrote to stdout and stderr."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        try:
            status: int | str | None = main(arguments)
        except SystemExit as e:
            status = e.code
        assert isinstance(status, int)
        return status, out.getvalue(), err.getvalue()

    def test_version(self) -> None:
        """C{--version} prints name and version."""
        self.assertEqual(self.run_with("--version"), (0, f"registryproxy {__version__}\n", ""))

    def test_help_says_how_the_proxy_is_run(self) -> None:
        """Without arguments, and with C{--help}, one learns of twistd."""
        for arguments in ((), ("--help",), ("-h",)):
            status, out, err = self.run_with(*arguments)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("twistd --nodaemon --pidfile= registryproxy\n", out)

    def test_settings_are_printed_as_markdown(self) -> None:
        """C{settings} prints the table that docs/settings.md ends with."""
        self.assertEqual(self.run_with("settings"), (0, markdown(), ""))

    def test_a_mistake_is_told_in_one_sentence(self) -> None:
        """What is not known is named on one line, and the status is 2."""
        for argument in ("settngs", "--versoin", "-x"):
            status, out, err = self.run_with(argument)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertIn(argument, err)
            self.assertTrue(err.startswith("registryproxy: "))
