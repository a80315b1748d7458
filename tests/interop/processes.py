"""Programs that can't outlive a test, and can't write outside of its scratch folder."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path

from attrs import define, field, frozen

from tests.interop.needs import SEARCH_PATH

#: Seconds that a program may take to begin its work, or to do one thing.  Generous: a test waits so long only to fail.
PATIENCE = 60.0

#: Seconds between two looks at a program that is starting.
GLANCE = 0.02

#: Folders that engines write to whatever they are told; they get empty ones, which vanish with the namespace.
STUBBORN = "/run /etc/docker /var/lib/containers"

#: C{$0} is the hosts file, C{$1} the folder to keep writable when all others are not, or empty.
_MAKE_ROOM = f"""
if [ -n "$1" ]; then
    mount --bind "$1" "$1"
    mount -o remount,ro,bind /
    for folder in {STUBBORN}; do [ ! -d "$folder" ] || mount -t tmpfs tmpfs "$folder"; done
fi
mount --bind "$0" /etc/hosts
shift
exec "$@"
"""


@frozen
class Sandbox:
    """
    Namespaces of their own for a program and its children: mounts, so that it sees another
    C{/etc/hosts} than the machine's; processes, so that all of them end with the first.

    @ivar hosts: the file to show as C{/etc/hosts}.
    @ivar scratch: the one folder that the program may write to, or C{None} if it may write everywhere.
    """

    hosts: Path
    scratch: Path | None = None

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs C{command} in here, and ends it when the tests end, however they end."""
        # Whoever kills unshare kills its child, the init of the namespace, and with it every process in there.
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        room = ["sh", "-euc", _MAKE_ROOM, str(self.hosts), str(self.scratch or "")]
        return ["setpriv", "--pdeathsig", "KILL", *namespaces, *room, *command]


def write_hosts(path: Path, addresses: Mapping[str, str]) -> Path:
    """Write a hosts file which knows C{addresses}, by name, and localhost."""
    lines = [f"{address} {name}" for name, address in {"localhost": "127.0.0.1", **addresses}.items()]
    path.write_text("\n".join([*lines, ""]))
    return path


def run(command: Sequence[str], environment: Mapping[str, str], sandbox: Sandbox | None = None) -> bytes:
    """
    Run a program to its end.

    @param environment: all that the program sees of one; C{PATH} is added.
    @return: what it wrote to its standard output.
    @raise AssertionError: if it failed, with what it complained of.
    """
    whole = list(command) if sandbox is None else sandbox.wrap(command)
    ended = subprocess.run(
        whole,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": SEARCH_PATH, **environment},
        timeout=PATIENCE,
    )
    if ended.returncode != 0:
        complaint = ended.stderr.decode(errors="replace")
        raise AssertionError(f"{' '.join(command)} ended with {ended.returncode}: {complaint[-4000:]}")
    return ended.stdout


@define(eq=False)
class Daemon:
    """
    A program that runs until it is told to stop.

    @ivar log: the file that has its standard output and its complaints.
    """

    log: Path
    _process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(
        cls, command: Sequence[str], environment: Mapping[str, str], log: Path, sandbox: Sandbox
    ) -> Daemon:
        """Start C{command} in C{sandbox}; C{log} is written to from its end on."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                sandbox.wrap(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": SEARCH_PATH, **environment},
                cwd=log.parent,
                start_new_session=True,  # an operator's Ctrl-C is for the tests, which end us in turn
            )
        return cls(log, process)

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """
        Wait until the program is at work.

        @param is_ready: a quick look from outside; while nobody answers it may raise what C{http.client} does.
        @raise AssertionError: if the program ended, or wasn't ready in time; with the end of its log.
        """
        for _ in range(int(PATIENCE / GLANCE)):
            try:
                if is_ready():
                    return
            except (OSError, HTTPException):
                pass  # nobody listens yet, or hears us out
            try:
                self._process.wait(GLANCE)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended with {self._process.returncode} at its start: {self.last_words()}")
        self.kill()
        raise AssertionError(f"not ready after {PATIENCE} s: {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the log, for a message."""
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """
        Ask the program to end, and wait until it has.

        @raise AssertionError: if it does not end in time; then it was killed.
        """
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"deaf to SIGTERM: {self.last_words()}") from None

    def kill(self) -> None:
        """End the program and all that it started, now.  Whoever has ended already is left in peace."""
        self._signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def _signal(self, number: signal.Signals) -> None:
        """
        Signal the init of the namespace, our program, which is the child of unshare.

        When init has ended the kernel ends all others in there, and only then unshare is told and ends, too: so to
        wait for unshare is to wait for all of them.
        """
        unshare = self._process.pid
        if self._process.poll() is not None:
            return
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
        os.kill(int(children[0]) if children else unshare, number)
