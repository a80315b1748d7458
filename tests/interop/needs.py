"""What this machine must have before real clients can be tried on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

#: Daemons live in the system's sbin folders, which not every user's PATH names.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

#: Every test stands on these: the upstream, and what gives each program its own namespaces.
FOUNDATION = ("docker-registry", "unshare", "setpriv", "mount")


@cache
def may_unshare() -> bool:
    """Tell whether this process may make namespaces, which root inside many containers may not."""
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    tried = subprocess.run(command, check=False, capture_output=True, env={"PATH": SEARCH_PATH})
    return tried.returncode == 0


def reason_to_skip(*programs: str) -> str | None:
    """
    Say why tests that run C{programs} can't be run here.

    @param programs: names of the commands that the tests use besides the L{FOUNDATION}.
    @return: a sentence for trial's report, or C{None} where nothing is missing.
    """
    absent = [name for name in (*programs, *FOUNDATION) if shutil.which(name, path=SEARCH_PATH) is None]
    if absent:
        return f"{', '.join(absent)} not found: tests/interop/install (Debian, root) brings what is missing"
    if os.geteuid() != 0:
        return "not root, and container engines need root: run as root, after tests/interop/install"
    if not may_unshare():
        return (
            "no namespaces may be made here: run as root outside of a container, after tests/interop/install"
        )
    return None
