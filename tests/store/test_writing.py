"""Tests for L{registryproxy.store.blobs.BlobWriter}: locks, other processes, and disks that fail."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.python.monkey import MonkeyPatcher

from registryproxy.errors import StoreUnavailable
from registryproxy.interfaces import IBlobWriter
from registryproxy.oci.digest import Digest
from registryproxy.store import blobs
from registryproxy.store.blobs import BlobStore
from tests.store.test_blobs import StoreTestCase
from tests.support.stores import CONTENT, DIGEST, keep, kept

# Another process that writes the same content, says so, and then waits for its end.
OTHER_PROCESS = """
import sys
from pathlib import Path
from registryproxy.oci.digest import Digest
from registryproxy.store.blobs import BlobStore

writer = BlobStore.on(Path(sys.argv[1])).begin(Digest.parse(sys.argv[2]))
writer.append(b"012")
print("writing", flush=True)
sys.stdin.read()
writer.abandon()
"""


class FailingOS:
    """The module C{os}, of which one function fails as a disk does."""

    def __init__(self, name: str, *, once: bool = False) -> None:
        """Let C{os.name} fail, for ever or once."""
        self._name = name
        self._left = 1 if once else -1

    def __getattr__(self, name: str) -> Any:
        """Fail, if it is the one."""
        if name == self._name and self._left:
            self._left -= 1
            return self._fail
        return getattr(os, name)

    @staticmethod
    def _fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")


class LockTests(StoreTestCase):
    """One writer at a time, in whatever process."""

    def start(self) -> "subprocess.Popen[bytes]":
        """Let another process begin to write."""
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(self.root), str(DIGEST)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), b"writing\n")
        return process

    def test_other_processes(self) -> None:
        """What another process writes is refused here; what a killed one left behind is taken over, from its start."""
        process = self.start()
        refused = self.assertRaises(StoreUnavailable, self.store.begin, DIGEST)
        self.assertIn(str(DIGEST), str(refused))
        self.assertEqual(self.part.read_bytes(), b"012")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual(self.part.read_bytes(), b"012")
        keep(self.store, CONTENT)
        self.assertEqual(kept(self.store, DIGEST), CONTENT)
        self.assertFalse(self.part.exists())

    def test_not_inherited(self) -> None:
        """A program that we start holds no lock of ours: when we go, the lock goes."""
        writer = self.store.begin(DIGEST)
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as process:
            os.close(writer._descriptor)  # as if we had been killed
            self.store.begin(DIGEST).abandon()
            process.communicate()

    def test_longer_part_is_taken_over(self) -> None:
        """Of a part that was longer than the content nothing is left in what is published."""
        self.part.write_bytes(b"x" * 100)
        keep(self.store, CONTENT)
        self.assertEqual(self.final.read_bytes(), CONTENT)

    def test_published_between_open_and_lock(self) -> None:
        """A writer that opened the part of one that then published locks a new file, not the published one."""
        first = self.store.begin(DIGEST)
        first.append(CONTENT)
        first.verify()

        def publish() -> None:
            first.publish()
            first.abandon()

        self.just_before_it_locks(publish)
        second = self.store.begin(DIGEST)
        second.append(b"rubbish")
        self.assertEqual((self.final.read_bytes(), self.part.read_bytes()), (CONTENT, b"rubbish"))
        second.abandon()

    def test_abandoned_between_open_and_lock(self) -> None:
        """A writer that opened the part of one that then abandoned it makes a new one, under its name."""
        self.just_before_it_locks(self.store.begin(DIGEST).abandon)
        keep(self.store, CONTENT)
        self.assertEqual(kept(self.store, DIGEST), CONTENT)

    def just_before_it_locks(self, deed: Callable[[], object]) -> None:
        """Let something happen after the next part was opened, and before it is locked."""
        flock = fcntl.flock
        undo: MonkeyPatcher

        def interrupted(descriptor: int, how: int) -> None:
            undo.restore()
            deed()
            flock(descriptor, how)

        undo = self.patch(fcntl, "flock", interrupted)


class DiskTests(StoreTestCase):
    """Disks that fail."""

    def break_disk(self, name: str, *, once: bool = False) -> MonkeyPatcher:
        """Let a function of the operating system fail in the store."""
        undo: MonkeyPatcher = self.patch(blobs, "os", FailingOS(name, once=once))
        return undo

    def written(self) -> IBlobWriter:
        """Write all there is, and verify it."""
        writer = self.store.begin(DIGEST)
        writer.append(CONTENT)
        writer.verify()
        return writer

    def test_really_full(self) -> None:
        """A disk that takes no more is an error in words, in the midst of a piece, too; nothing is left behind."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(signal.signal, signal.SIGXFSZ, signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        writer = self.store.begin(DIGEST)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
        writer.append(bytes(2**15))
        refused = self.assertRaises(StoreUnavailable, writer.append, bytes(2**17))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.assertIn(str(DIGEST), str(refused))
        self.assertIn("File too large", str(refused))
        self.assertEqual(self.part.stat().st_size, 2**16)
        writer.abandon()
        self.assertEqual(self.files(), [])

    def test_short_writes(self) -> None:
        """A disk that takes a few bytes at a time gets them all."""

        class Stingy:
            def __getattr__(self, name: str) -> Any:
                return getattr(os, name)

            @staticmethod
            def write(descriptor: int, data: Any) -> int:
                return os.write(descriptor, data[:3])

        self.patch(blobs, "os", Stingy())
        keep(self.store, CONTENT)
        self.assertEqual(kept(self.store, DIGEST), CONTENT)

    def test_cannot_begin(self) -> None:
        """A part that cannot be made is an error in words."""
        self.layout.incoming.rmdir()
        self.layout.incoming.write_bytes(b"")
        refused = self.assertRaises(StoreUnavailable, self.store.begin, DIGEST)
        self.assertIn("Not a directory", str(refused))

    def test_cannot_truncate(self) -> None:
        """A part that cannot be taken over is an error in words, and the lock on it is let go of."""
        self.break_disk("ftruncate", once=True)
        self.assertRaises(StoreUnavailable, self.store.begin, DIGEST)
        self.store.begin(DIGEST).abandon()

    def test_cannot_sync(self) -> None:
        """What the disk does not take durably does not appear, and of the part nothing is left: the disk is full."""
        writer = self.written()
        self.break_disk("fsync")
        self.assertRaises(StoreUnavailable, writer.publish)
        self.assertEqual(self.store.find(DIGEST), None)
        writer.abandon()
        self.assertEqual(self.files(), [])

    def test_cannot_make_folder(self) -> None:
        """Nor where the folder of the name cannot be made."""
        (self.root / "blobs").write_bytes(b"")
        writer = self.written()
        self.assertRaises(StoreUnavailable, writer.publish)
        writer.abandon()
        self.assertEqual(self.files(), [Path("blobs")])

    def test_locked_until_abandoned(self) -> None:
        """A writer that could not publish keeps others away until it has cleaned up, or it would take their part."""
        writer = self.written()
        self.break_disk("fsync", once=True)
        self.assertRaises(StoreUnavailable, writer.publish)
        self.assertRaises(StoreUnavailable, self.store.begin, DIGEST)
        writer.abandon()
        keep(self.store, CONTENT)

    def test_folder_cannot_be_synced(self) -> None:
        """A name that may not survive a power cut is an error, but the part of the next writer is not touched."""
        writer = self.written()
        undo = self.break_disk("open")  # the folder is opened to be synced
        self.assertRaises(StoreUnavailable, writer.publish)
        undo.restore()
        another = self.store.begin(DIGEST)
        another.append(b"01")
        writer.abandon()
        self.assertEqual(self.part.read_bytes(), b"01")
        another.abandon()

    def test_cannot_be_removed(self) -> None:
        """Abandoning never raises, and lets go of the lock: whoever begins next takes the part over."""
        writer = self.store.begin(DIGEST)
        writer.append(b"rubbish")
        self.patch(Path, "unlink", FailingOS._fail)
        writer.abandon()
        self.assertEqual(self.part.read_bytes(), b"rubbish")
        keep(self.store, CONTENT)
        self.assertEqual(kept(self.store, DIGEST), CONTENT)

    def test_abandoned_is_closed(self) -> None:
        """Who appends to what is abandoned is told in the words for disks, and writes to no other's file."""
        writer = self.store.begin(DIGEST)
        writer.abandon()
        self.assertRaises(StoreUnavailable, writer.append, b"x")


class ReaderTests(StoreTestCase):
    """Readers of the growing file."""

    def reader(self, writer: IBlobWriter) -> int:
        """Open one more reader."""
        descriptor = writer.open_reader()
        self.addCleanup(os.close, descriptor)
        return descriptor

    def test_reads_what_grows(self) -> None:
        """A reader sees what is appended after it came, and does not move the writer."""
        writer = self.store.begin(DIGEST)
        writer.append(b"0123")
        reader = self.reader(writer)
        os.lseek(reader, 0, os.SEEK_END)
        self.assertEqual(os.pread(reader, 100, 2), b"23")
        writer.append(b"456789")
        writer.verify()
        self.assertEqual(os.pread(reader, 100, 2), b"23456789")
        writer.publish()
        self.assertEqual(os.pread(reader, 100, 2), b"23456789")

    def test_outlives_the_writer(self) -> None:
        """A reader keeps what it has, though the writer gave up and another begins."""
        writer = self.store.begin(DIGEST)
        writer.append(b"0123")
        reader = self.reader(writer)
        writer.abandon()
        self.assertEqual(keep(self.store, CONTENT), DIGEST)
        self.assertEqual(os.pread(reader, 100, 0), b"0123")

    def test_readers_hold_no_lock(self) -> None:
        """Readers that linger, of what was published or abandoned, keep nobody from writing anew."""
        for end in ("publish", "abandon"):
            writer = self.store.begin(DIGEST)
            writer.append(CONTENT)
            self.reader(writer)
            getattr(writer, end)()
            self.store.begin(DIGEST).abandon()

    def test_just_published(self) -> None:
        """Who comes in the moment when the writer has published, and nobody knows it yet, reads the published file."""
        writer = self.store.begin(DIGEST)
        writer.append(CONTENT)
        writer.verify()
        writer.publish()
        self.assertEqual(os.pread(self.reader(writer), 100, 0), CONTENT)

    def test_after_the_end(self) -> None:
        """Who comes when all is gone is told so by the operating system, and not given another's file."""
        writer = self.store.begin(Digest.of(b"other"))
        writer.abandon()
        self.assertRaises(OSError, writer.open_reader)


class RestartTests(StoreTestCase):
    """The next process."""

    def test_keeps_what_was_kept(self) -> None:
        """A store opened on the same folder finds what was published, and nothing of what was not."""
        keep(self.store, CONTENT)
        other = Digest.of(b"other")
        writer = self.store.begin(other)
        writer.append(b"other")
        again = BlobStore.on(self.root)
        self.assertEqual((kept(again, DIGEST), again.find(other)), (CONTENT, None))
        writer.abandon()
