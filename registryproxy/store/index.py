"""Index: what the files themselves do not say, in SQLite."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from registryproxy.interfaces import IIndex, TagRecord
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.wire.authority import Authority

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tags (
    registry TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL,
    accept_group TEXT NOT NULL,       -- the Accept class: one tag means different manifests to different clients
    digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER,
    asked_at REAL NOT NULL,           -- POSIX seconds of the registry's last word
    PRIMARY KEY (registry, repository, tag, accept_group)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    digest TEXT NOT NULL, registry TEXT NOT NULL, repository TEXT NOT NULL,
    media_type TEXT,                  -- of manifests, as this registry wrote it
    public INTEGER NOT NULL,          -- 1: given to somebody without credentials
    PRIMARY KEY (digest, registry, repository)
) WITHOUT ROWID;
"""
_BUSY_SECONDS = 0.2  # the reactor waits meanwhile


@implementer(IIndex)
@define(eq=False)
class Index:
    """
    The index of one cache folder.

    Reads take some microseconds and writes are not waited for by fsync (WAL, synchronous NORMAL: a power cut
    costs the last few notes, never the file), so that the reactor's thread does both.
    """

    _log: ClassVar[Logger] = Logger()
    _database: sqlite3.Connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Open the index, or begin anew where it is missing, damaged or of another version.

        @raise sqlite3.Error: if none can be made there.
        """
        try:
            database = _connect(path)
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == _SCHEMA_VERSION:
                return cls(database)
            empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            database.close()
        except sqlite3.OperationalError:
            raise  # locked, or no way to it: that is no reason to begin anew
        except sqlite3.DatabaseError:
            empty = False
        if not empty:
            cls._log.warn("{path} is damaged or of another version; it is begun anew", path=str(path))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        database = _connect(path)
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        return cls(database)

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
        self._database.close()

    def _rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            self._log.warn("the index cannot be read, upstream is asked instead: {reason}", reason=str(e))
            return []

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as e:
            self._log.warn("the index takes no notes, upstream will be asked again: {reason}", reason=str(e))


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def _as_record(row: tuple[Any, ...]) -> TagRecord:
    digest, media_type, size, asked_at = row
    return TagRecord(Digest.parse(digest), media_type, size, asked_at)
