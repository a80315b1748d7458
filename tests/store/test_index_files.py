"""Tests for L{registryproxy.store.index}: its files, other processes, and what goes wrong with them."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

from registryproxy.oci.accept import OCI_INDEX
from registryproxy.oci.digest import Digest
from registryproxy.store import index as index_module
from registryproxy.store.index import Index
from tests.store.test_index import APP, HUB, LATEST, ONE, RECORD, IndexTestCase

# Another process that opens the index once it is told to, notes something, and says what it then sees.
OTHER_PROCESS = """
import sys
from pathlib import Path
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.store.index import Index
from registryproxy.wire.authority import Authority

print("ready", flush=True)
sys.stdin.readline()
index = Index.open(Path(sys.argv[1]))
digest = Digest.of(sys.argv[2].encode())
index.note_held(Authority("quay.io", 443), Repository("a"), digest, None, True)
print("noted", index.is_public(digest), flush=True)
sys.stdin.readline()
print("seen", all(index.is_public(Digest.of(each.encode())) for each in sys.argv[2:]), flush=True)
"""

# What twistd does: a service is made, the process forks, and the child goes on.
FORKING_PROCESS = """
import os
import sys
from pathlib import Path
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository
from registryproxy.store.index import Index
from registryproxy.wire.authority import Authority

index = Index.open(Path(sys.argv[1]))
if os.fork():
    os._exit(0)
index.note_held(Authority("quay.io", 443), Repository("a"), Digest.of(b"0"), None, True)
print("noted", flush=True)
sys.stdin.readline()
index.note_held(Authority("quay.io", 443), Repository("a"), Digest.of(b"1"), None, True)
print("noted", flush=True)
"""


class FileTests(IndexTestCase):
    """What lies on disk."""

    def test_ours_alone(self) -> None:
        """The index names private repositories: it is for our user only, its helper files, too."""
        self.addCleanup(os.umask, os.umask(0))
        path = Path(self.mktemp())
        index = Index.open(path)
        self.addCleanup(index.close)
        index.note_tag(HUB, APP, LATEST, "d", RECORD)
        files = sorted(path.parent.glob(f"{path.name}*"))
        self.assertEqual(len(files), 3)
        self.assertEqual([stat.S_IMODE(each.stat().st_mode) for each in files], [0o600] * 3)

    def test_nothing_is_left_open(self) -> None:
        """Neither an index that is closed nor one that could not be opened leaves a descriptor behind."""
        descriptors = Path("/proc/self/fd")
        self.index.close()
        before = len(list(descriptors.iterdir()))
        self.opened().close()
        self.damage(0, b"rubbish" * 1000)
        self.observed()
        self.opened().close()
        self.assertRaises(OSError, Index.open, self.root / "nowhere" / "index.sqlite")
        self.assertEqual(len(list(descriptors.iterdir())), before)

    def damage(self, offset: int, rubbish: bytes) -> None:
        """Write rubbish over the file."""
        self.index.close()
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(rubbish)

    def assertBegunAnew(self) -> None:
        """Fail unless the next process finds an empty index that works, and the operator is warned."""
        observer = self.observed()
        self.index = self.opened()
        self.assertEqual(len(self.warnings_in(observer)), 1)
        self.assertIn(str(self.path), [event.get("path") for event in observer])
        self.assertIsNone(self.index.tag(HUB, APP, LATEST, "d"))
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.reopen()
        self.assertEqual(self.index.tag(HUB, APP, LATEST, "d"), RECORD)

    def test_no_database(self) -> None:
        """A file that is no database is begun anew."""
        self.damage(0, b"rubbish" * 1000)
        self.assertBegunAnew()

    def test_damaged_within(self) -> None:
        """So is one that is damaged behind its head, which SQLite notices only when it gets there."""
        for number in range(100):
            self.index.note_held(HUB, APP, Digest.of(bytes([number])), OCI_INDEX, public=True)
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.index.close()
        size = self.path.stat().st_size
        self.damage(4096, b"\xa5" * (size - 4096))
        self.assertBegunAnew()

    def test_cut_short(self) -> None:
        """And one that is cut short."""
        for number in range(100):
            self.index.note_held(HUB, APP, Digest.of(bytes([number])), OCI_INDEX, public=True)
        self.index.close()
        os.truncate(self.path, 4096)
        self.assertBegunAnew()

    def test_other_version(self) -> None:
        """And one that an older or newer house has made, whatever is in it."""
        for version in (0, 2, 99):
            self.index.close()
            with sqlite3.connect(self.path) as other:
                other.execute(f"PRAGMA user_version = {version}")
            other.close()
            self.assertBegunAnew()
            self.index.forget_tag(HUB, APP, LATEST)

    def test_empty_file(self) -> None:
        """An empty file, as a full disk leaves it, is a new one, and nothing to be warned of."""
        self.index.close()
        self.path.write_bytes(b"")
        observer = self.observed()
        self.index = self.opened()
        self.assertEqual(self.warnings_in(observer), [])
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.assertEqual(self.index.tag(HUB, APP, LATEST, "d"), RECORD)

    def test_where_none_can_be(self) -> None:
        """Where no file can be made, the error is the system's or SQLite's, for whoever starts us to put in words."""
        occupied = Path(self.mktemp())
        occupied.write_bytes(b"")
        folder = Path(self.mktemp())
        folder.mkdir()
        for path in (occupied / "index.sqlite", self.root / "nowhere" / "index.sqlite", folder):
            with self.assertRaises((OSError, sqlite3.Error)):
                Index.open(path)


class TroubleTests(IndexTestCase):
    """What goes wrong while it is open is logged, and no error."""

    def use(self) -> list[object]:
        """Use every method, and return what the reading ones say."""
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=True)
        self.index.forget_tag(HUB, APP, LATEST)
        return [
            self.index.tag(HUB, APP, LATEST, "d"),
            self.index.tag_of_any_group(HUB, APP, LATEST),
            self.index.media_type(HUB, APP, ONE),
            self.index.is_public(ONE),
            self.index.holds(HUB, APP, ONE),
        ]

    def test_lost_tables(self) -> None:
        """When nothing can be read or written, nothing is known: upstream is asked, and nothing private is given."""
        with sqlite3.connect(self.path) as outsider:
            outsider.execute("DROP TABLE tags")
            outsider.execute("DROP TABLE held")
        outsider.close()
        observer = self.observed()
        self.assertEqual(self.use(), [None, [], None, False, False])
        self.assertEqual(len(self.warnings_in(observer)), 8)

    def test_closed(self) -> None:
        """Whoever comes after the end learns nothing and changes nothing; closing twice is closing once."""
        self.index.close()
        self.index.close()
        observer = self.observed()
        self.assertEqual(self.use(), [None, [], None, False, False])
        self.assertEqual(len(self.warnings_in(observer)), 8)
        self.index = self.opened()
        self.assertFalse(self.index.is_public(ONE))

    def test_locked(self) -> None:
        """While another process writes and does not end, notes are dropped after a while, and reading goes on."""
        self.patch(index_module, "_BUSY_SECONDS", 0.01)
        self.reopen()
        self.index.note_held(HUB, APP, ONE, OCI_INDEX, public=True)
        outsider = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(outsider.close)
        outsider.execute("BEGIN IMMEDIATE")
        observer = self.observed()
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.assertTrue(self.index.is_public(ONE))
        self.assertEqual(len(self.warnings_in(observer)), 1)
        outsider.execute("ROLLBACK")
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.assertEqual(self.index.tag(HUB, APP, LATEST, "d"), RECORD)

    def test_locked_when_opened(self) -> None:
        """An index that another process does not let go of is not taken for damaged: nothing of it is lost."""
        self.patch(index_module, "_OPENING_SECONDS", 0.01)
        self.index.note_tag(HUB, APP, LATEST, "d", RECORD)
        self.index.close()
        outsider = sqlite3.connect(self.path, isolation_level=None)
        outsider.execute("PRAGMA locking_mode = EXCLUSIVE")
        outsider.execute("BEGIN EXCLUSIVE")
        observer = self.observed()
        self.assertRaises(sqlite3.OperationalError, Index.open, self.path)
        self.assertEqual(self.warnings_in(observer), [])
        outsider.execute("ROLLBACK")
        outsider.close()
        self.index = self.opened()
        self.assertEqual(self.index.tag(HUB, APP, LATEST, "d"), RECORD)


class ProcessTests(IndexTestCase):
    """Several processes on one index."""

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        """Start another process."""
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for clean in (process.stdout.close, process.wait, process.kill, process.stdin.close):
            self.addCleanup(clean)
        return process

    def said(self, process: "subprocess.Popen[str]") -> str:
        """Wait for a line of another process."""
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def nudge(self, process: "subprocess.Popen[str]") -> None:
        """Let another process go on."""
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    def test_all_at_once(self) -> None:
        """Processes that all make the same index at the same time succeed, and each sees what the others note."""
        path = Path(self.mktemp())
        names = ["a", "b", "c", "d"]
        processes = [
            self.start(OTHER_PROCESS, str(path), name, *(other for other in names if other != name))
            for name in names
        ]
        self.assertEqual([self.said(each) for each in processes], ["ready"] * 4)
        for round_said in ("noted True", "seen True"):
            for each in processes:
                self.nudge(each)
            self.assertEqual([self.said(each) for each in processes], [round_said] * 4)

    def test_fork(self) -> None:
        """An index that was opened before a fork works after it, also while others look into the file."""
        path = Path(self.mktemp())
        process = self.start(FORKING_PROCESS, str(path))
        self.assertEqual(self.said(process), "noted")
        for count in (1, 2):
            with sqlite3.connect(path) as outsider:
                self.assertEqual(outsider.execute("SELECT count(*) FROM held").fetchall(), [(count,)])
            outsider.close()
            if count == 1:
                self.nudge(process)
                self.assertEqual(self.said(process), "noted")
