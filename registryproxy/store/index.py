"""Index: what the files themselves do not say, in SQLite."""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Self

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from registryproxy.interfaces import IIndex, TagRecord
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.wire.authority import Authority

_SCHEMA_VERSION = 1
_TABLES = (
    """
CREATE TABLE tags (
    registry TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL,
    accept_group TEXT NOT NULL,       -- the Accept class: one tag means different manifests to different clients
    digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER,
    asked_at REAL NOT NULL,           -- POSIX seconds of the registry's last word
    PRIMARY KEY (registry, repository, tag, accept_group)
) WITHOUT ROWID
""",
    """
CREATE TABLE held (
    digest TEXT NOT NULL, registry TEXT NOT NULL, repository TEXT NOT NULL,
    media_type TEXT,                  -- of manifests, as this registry wrote it
    public INTEGER NOT NULL,          -- 1: given to somebody without credentials
    PRIMARY KEY (digest, registry, repository)
) WITHOUT ROWID
""",
)
_BUSY_SECONDS = 0.2  # the reactor waits meanwhile
_OPENING_SECONDS = 5.0  # nobody waits yet, and another process may be making the very file
_PRIVATE_FILE = 0o600


class _OtherVersion(sqlite3.DatabaseError):
    """The file is of another version of this house."""


@implementer(IIndex)
@define(eq=False)
class Index:
    """
    The index of one cache folder.

    Reads take some microseconds and writes are not waited for by fsync (WAL, synchronous NORMAL: a power cut
    costs the last few notes, never the file), so that the reactor's thread does both.
    """

    _log: ClassVar[Logger] = Logger()
    _path: Path
    # Connected when first asked: C{twistd} opens the index and then forks, and SQLite's locks do not cross a fork;
    # the next process to look would take the file for nobody's, and each would see a state of its own.
    _connection: sqlite3.Connection | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Open the index, or begin anew where it is missing, damaged or of another version.

        @raise sqlite3.Error: if none can be made there, or another process does not let go of it.
        @raise OSError: if none can be made there.
        """
        try:
            _prepare(path)
        except sqlite3.OperationalError:
            raise  # locked, or no way to it: that is no reason to begin anew
        except sqlite3.DatabaseError:
            cls._log.warn("{path} is damaged or of another version; it is begun anew", path=str(path))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            _prepare(path)
        return cls(path)

    def tag(self, registry: Authority, repository: Repository, tag: Tag, group: str) -> TagRecord | None:
        """See L{IIndex.tag}."""
        rows = self._rows(
            "SELECT digest, media_type, size, asked_at FROM tags"
            " WHERE registry = ? AND repository = ? AND tag = ? AND accept_group = ?",
            (str(registry), str(repository), str(tag), group),
        )
        return _as_record(rows[0]) if rows else None

    def tag_of_any_group(self, registry: Authority, repository: Repository, tag: Tag) -> list[TagRecord]:
        """See L{IIndex.tag_of_any_group}."""
        rows = self._rows(
            "SELECT digest, media_type, size, asked_at FROM tags"
            " WHERE registry = ? AND repository = ? AND tag = ? ORDER BY asked_at DESC",
            (str(registry), str(repository), str(tag)),
        )
        return [_as_record(row) for row in rows]

    def note_tag(
        self, registry: Authority, repository: Repository, tag: Tag, group: str, record: TagRecord
    ) -> None:
        """See L{IIndex.note_tag}."""
        self._write(
            "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(str(registry), str(repository), str(tag), group),
                *(str(record.digest), record.media_type, record.size, record.asked_at),
            ),
        )

    def forget_tag(self, registry: Authority, repository: Repository, tag: Tag) -> None:
        """See L{IIndex.forget_tag}."""
        self._write(
            "DELETE FROM tags WHERE registry = ? AND repository = ? AND tag = ?",
            (str(registry), str(repository), str(tag)),
        )

    def media_type(self, registry: Authority, repository: Repository, digest: Digest) -> str | None:
        """See L{IIndex.media_type}."""
        rows = self._rows(
            "SELECT media_type FROM held WHERE digest = ? AND media_type IS NOT NULL"
            " ORDER BY registry = ? AND repository = ? DESC, registry = ? DESC LIMIT 1",
            (str(digest), str(registry), str(repository), str(registry)),
        )
        return str(rows[0][0]) if rows else None

    def is_public(self, digest: Digest) -> bool:
        """See L{IIndex.is_public}."""
        return bool(self._rows("SELECT 1 FROM held WHERE digest = ? AND public LIMIT 1", (str(digest),)))

    def holds(self, registry: Authority, repository: Repository, digest: Digest) -> bool:
        """See L{IIndex.holds}."""
        return bool(
            self._rows(
                "SELECT 1 FROM held WHERE digest = ? AND registry = ? AND repository = ?",
                (str(digest), str(registry), str(repository)),
            )
        )

    def note_held(
        self,
        registry: Authority,
        repository: Repository,
        digest: Digest,
        media_type: str | None,
        public: bool,
    ) -> None:
        """See L{IIndex.note_held}."""
        # The WHERE keeps a note that says nothing new from being written at all.
        self._write(
            "INSERT INTO held VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " media_type = coalesce(excluded.media_type, media_type), public = max(excluded.public, public)"
            " WHERE excluded.public > public"
            " OR (excluded.media_type IS NOT NULL AND excluded.media_type IS NOT media_type)",
            (str(digest), str(registry), str(repository), media_type, int(public)),
        )

    def close(self) -> None:
        """See L{IIndex.close}."""
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()

    @property
    def _database(self) -> sqlite3.Connection:
        if self._is_closed:
            raise sqlite3.ProgrammingError("it is closed")
        if self._connection is None:
            self._connection = _connect(self._path, _BUSY_SECONDS)
        return self._connection

    def _rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            self._log.warn("the index cannot be read, upstream is asked instead: {reason}", reason=str(e))
            return []

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self._database.execute(statement, values)
        except (sqlite3.Error, OverflowError) as e:  # the latter for lengths beyond 64 bits
            self._log.warn("the index takes no notes, upstream will be asked again: {reason}", reason=str(e))


def _prepare(path: Path) -> None:
    """
    Make the file and its tables, unless they are there.

    @raise sqlite3.OperationalError: if that cannot be done now.
    @raise sqlite3.DatabaseError: if the file is damaged, or of another version.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        # SQLite itself does not wait for another process that makes a file into a WAL one at the same time.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with closing(_connect(path, _OPENING_SECONDS)) as database:
            _check(database)
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == _SCHEMA_VERSION:
                return
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise _OtherVersion(f"version {version}")
            _make_tables(database)
    finally:
        os.close(descriptor)


def _check(database: sqlite3.Connection) -> None:
    """
    Look through the file: a tenth of a second for each 100 MB.

    @raise sqlite3.DatabaseError: if it is damaged.
    """
    for (complaint,) in database.execute("PRAGMA quick_check(1)"):
        if complaint != "ok":
            raise sqlite3.DatabaseError(complaint)


def _make_tables(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        database.execute(table)
    database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    database.execute("COMMIT")


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database


def _as_record(row: tuple[Any, ...]) -> TagRecord:
    digest, media_type, size, asked_at = row
    return TagRecord(Digest.parse(digest), media_type, size, asked_at)
