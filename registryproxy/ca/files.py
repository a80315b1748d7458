"""Two files that appear whole or not at all, and a lock, so that two processes do not both make them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """
    Hold a lock that other processes wait for; the file itself stays, for removing it would let two hold it.

    The kernel lets go of it when we die, however we die.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def put(path: Path, content: bytes, mode: int) -> None:
    """
    Make a file appear under its name with all of its content, durably.

    Must be called with the directory's lock held: the temporary name is a fixed one, so that what a crash left
    behind is cleared away by the next attempt.  After a failure C{path} is as it was.

    @param mode: the permissions that the file has from its first instant.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make the renames so far outlive a power cut, in their order."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
