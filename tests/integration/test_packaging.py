"""
Tests of the package as pip installs it: the plugin is found, and nothing that the code reads is left behind.

Built without build isolation, so that nothing is fetched.
"""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from registryproxy import __version__
from tests.support.twistd import CHECKOUT, TWIST, TWISTD

PARTS = ("registryproxy", "twisted", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


class InstallTests(SynchronousTestCase):
    """C{pip install .}."""

    def setUp(self) -> None:
        """Install a copy of the checkout into a folder."""
        if not _has("pip", 0) or not _has("setuptools", 71):
            raise SkipTest("pip and setuptools are not in this environment; make test brings them")
        root = Path(self.mktemp()).absolute()
        source, self.target = root / "source", root / "target"
        source.mkdir(parents=True)
        for part in PARTS:
            if (CHECKOUT / part).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
                shutil.copytree(CHECKOUT / part, source / part, ignore=ignored)
            else:
                shutil.copy(CHECKOUT / part, source / part)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(self.target)]
        self.run_python("-m", "pip", "install", *options, str(source))

    def run_python(self, *arguments: str) -> str:
        """Run Python with the installed package in its path, and away from the checkout."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.target), "PYTHONPATH": str(self.target)}
        ended = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def test_the_package(self) -> None:
        """twistd and twist know the service, its settings can be read, and its data is there."""
        for runner in (TWISTD, TWIST):
            self.assertIn("registryproxy", self.run_python(*runner, "--help"))
        self.assertIn("REGISTRIES = ", self.run_python(*TWISTD, "registryproxy", "--check"))
        code = "import registryproxy.front.pages, registryproxy.front.setup as s; print(s.__file__)"
        self.assertTrue(self.run_python("-c", code).startswith(str(self.target)))
        for name in ("py.typed", "front/setup_systemd.sh", "front/welcome.html"):
            self.assertTrue((self.target / "registryproxy" / name).exists(), name)
        command = "import sys; from registryproxy.cli import main; sys.exit(main(['--version']))"
        self.assertEqual(self.run_python("-c", command), f"registryproxy {__version__}\n")
        # With one of these, Twisted's own plugins would be gone.
        self.assertFalse((self.target / "twisted" / "__init__.py").exists())
        self.assertFalse((self.target / "twisted" / "plugins" / "__init__.py").exists())


def _has(package: str, major: int) -> bool:
    """Tell whether a package of that version or newer is here; to import setuptools would change Python itself."""
    try:
        return int(version(package).partition(".")[0]) >= major
    except PackageNotFoundError:
        return False
