"""BlobStore: verified content by digest, and how it gets there."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from registryproxy.errors import ContentMismatch, StoreUnavailable
from registryproxy.interfaces import IBlobSource, IBlobStore, IBlobWriter
from registryproxy.oci.digest import Digest, Hasher
from registryproxy.store.layout import Layout

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


@implementer(IBlobSource)
@define(eq=False)
class StoredBlob:
    """Whole content, open for reading: it stays readable though its name be removed."""

    digest: Digest
    size: int
    _descriptor: int
    is_whole: bool = field(default=True, init=False)

    @classmethod
    def open(cls, digest: Digest, path: Path) -> Self:
        """
        Open a file of the store.

        @raise OSError: if it is not there, or cannot be read.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(digest, os.fstat(descriptor).st_size, descriptor)

    def read(self, offset: int, count: int) -> bytes:
        """See L{IBlobSource.read}."""
        if offset >= self.size:
            return b""
        try:
            data = os.pread(self._descriptor, min(count, self.size - offset), offset)
        except OSError as e:
            raise ContentMismatch(f"{self.digest} cannot be read from the disk: {e.strerror}") from e
        if not data and count:
            raise ContentMismatch(f"{self.digest} has become shorter than its {self.size} bytes on disk")
        return data

    def when_beyond(self, offset: int) -> "Deferred[None]":  # noqa: ARG002  whole, wherever one looks
        """See L{IBlobSource.when_beyond}."""
        return succeed(None)

    def close(self) -> None:
        """See L{IBlobSource.close}."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@implementer(IBlobWriter)
@define(eq=False)
class BlobWriter:
    """A locked file in C{incoming/}, and the digest of what is in it so far."""

    _digest: Digest
    _part: Path
    _final: Path
    _descriptor: int
    _hasher: Hasher
    received: int = field(default=0, init=False)

    @classmethod
    def open(cls, digest: Digest, part: Path, final: Path) -> Self:
        """
        Take the lock, and begin anew.

        @raise BlockingIOError: if another writer holds the lock.
        @raise OSError: if the disk does not let us.
        """
        while True:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Between open and lock the last writer may have published or removed the file that we opened.
                if _is_still(part, descriptor):
                    os.ftruncate(descriptor, 0)
                    return cls(digest, part, final, descriptor, digest.hasher())
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def append(self, data: bytes) -> None:
        """See L{IBlobWriter.append}."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as e:
            raise StoreUnavailable(f"cannot write {self._digest} to the cache: {e.strerror}") from e
        self._hasher.update(data)
        self.received += len(data)

    def verify(self) -> None:
        """See L{IBlobWriter.verify}."""
        found = self._hasher.hexdigest()
        if found != self._digest.encoded:
            raise ContentMismatch(
                f"{self._digest} was asked for, but {self._digest.algorithm}:{found} came"
                f" ({self.received} bytes); nothing of it is kept"
            )

    def publish(self) -> None:
        """See L{IBlobWriter.publish}."""
        try:
            os.fsync(self._descriptor)
            _make_folder(self._final.parent)
            self._part.replace(self._final)
            _sync_folder(self._final.parent)
        except OSError as e:
            raise StoreUnavailable(f"cannot keep {self._digest} in the cache: {e.strerror}") from e

    def abandon(self) -> None:
        """See L{IBlobWriter.abandon}."""
        if self._descriptor < 0:
            return
        # While the lock is still held: the name must not be taken from the next writer.  A part that cannot be removed
        # is no harm, for that writer takes it over; but whoever waits for us must not be let down.
        with suppress(OSError):
            if _is_still(self._part, self._descriptor):  # else it has the published name already
                self._part.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def open_reader(self) -> int:
        """See L{IBlobWriter.open_reader}."""
        return os.dup(self._descriptor)


@implementer(IBlobStore)
@frozen(eq=False)
class BlobStore:
    """Files on disk, as L{Layout} says."""

    _layout: Layout

    @classmethod
    def on(cls, root: Path) -> Self:
        """
        Make the folders that are missing.

        @raise OSError: if the disk does not let us.
        """
        layout = Layout(root)
        _make_folder(layout.incoming)
        return cls(layout)

    def find(self, digest: Digest) -> StoredBlob | None:
        """See L{IBlobStore.find}."""
        try:
            return StoredBlob.open(digest, self._layout.blob(digest))
        except OSError:
            # Not there, or not readable, or no descriptor left: upstream can be asked in any case.
            return None

    def size(self, digest: Digest) -> int | None:
        """See L{IBlobStore.size}."""
        try:
            return self._layout.blob(digest).stat().st_size
        except OSError:
            return None

    def begin(self, digest: Digest) -> BlobWriter:
        """See L{IBlobStore.begin}."""
        try:
            return BlobWriter.open(digest, self._layout.part(digest), self._layout.blob(digest))
        except BlockingIOError as e:
            raise StoreUnavailable(f"{digest} is being fetched by another process") from e
        except OSError as e:
            raise StoreUnavailable(f"cannot open {digest} in the cache: {e.strerror}") from e

    def is_writable(self) -> bool:
        """Tell whether content could be taken in now."""
        return os.access(self._layout.incoming, os.W_OK | os.X_OK)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, ours alone: C{Path.mkdir} would leave those above open to everybody."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
