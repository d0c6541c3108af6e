"""The embedded store: one SQLite file beside one lock, for one controller at a time.

Every `put` is one transaction that has reached the disk when it returns. Every value carries a checksum,
because SQLite notices a torn file but not a flipped bit. A store that is damaged is refused whole: it has
to be moved away by a person, and the one made in its place begins a later incarnation.

Law: no two calls of `begin_term` on one file return the same term; a value is either the last one put, or
an error. Source: https://www.sqlite.org/atomiccommit.html, https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import contextlib
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from reconciler.model.errors import Corrupt, Refused
from reconciler.model.ids import Epoch, Incarnation
from reconciler.ports import Term

RECORDS_MAX = 1_000
"""Records kept of each stream."""
STREAM_BYTES_MAX = 64 * 1024 * 1024
"""Of each stream; the oldest records go first, the newest always stays."""
_VERSION = 1
_CHECKSUM_BYTES = 16
_SCHEMA = """
CREATE TABLE term (one INTEGER PRIMARY KEY CHECK (one = 1), incarnation INTEGER, epoch INTEGER);
CREATE TABLE kept (key TEXT PRIMARY KEY, checksum BLOB, value BLOB) WITHOUT ROWID;
CREATE TABLE streams (
    stream TEXT, number INTEGER, checksum BLOB, record BLOB, PRIMARY KEY (stream, number)
);
"""


class SqliteStore:
    """A store in a directory of its own.

    Errors: `Refused` when another controller holds it, or the disk does not take what is put;
    `Corrupt` when it is damaged or not ours.
    """

    def __init__(self, directory: Path, *, incarnation: Incarnation) -> None:
        """Open the store, or make it; `incarnation` is used by a new one only, and has to grow."""
        self._path = directory / "decisions.sqlite"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(directory / "lock")
        except OSError as trouble:
            raise Refused(f"{directory}: {trouble.strerror}") from trouble
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open(incarnation)
        except BaseException:
            self.close()
            raise

    def begin_term(self) -> Term:
        """Take the next epoch and keep it."""
        with self._transaction() as sql:
            sql.execute("UPDATE term SET epoch = epoch + 1")
            incarnation, epoch = sql.execute("SELECT incarnation, epoch FROM term").fetchone()
        return Term(incarnation=Incarnation(incarnation), epoch=Epoch(epoch))

    def get(self, key: str) -> bytes | None:
        """The value last put under this key.

        Errors: `Corrupt` when it is not what was put.
        """
        with self._reading() as sql:
            row = sql.execute("SELECT checksum, value FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else self._checked(key, *row)

    def put(self, values: Mapping[str, bytes]) -> None:
        """Put all of these, or none of them; on return they are on the disk."""
        rows = [(key, _checksum(key, value), value) for key, value in values.items()]
        with self._transaction() as sql:
            sql.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)

    def append(self, stream: str, record: bytes) -> int:
        """Add a record and return its number; the oldest make room."""
        with self._transaction() as sql:
            query = "SELECT coalesce(max(number), 0) + 1 FROM streams WHERE stream = ?"
            number = int(sql.execute(query, (stream,)).fetchone()[0])
            checksum = _checksum(f"{stream}/{number}", record)
            sql.execute(
                "INSERT INTO streams VALUES (?, ?, ?, ?)", (stream, number, checksum, record)
            )
            sql.execute(
                "DELETE FROM streams WHERE stream = ? AND number <= ?",
                (stream, number - RECORDS_MAX),
            )
            if number % 16 == 0:
                _shrink(sql, stream)
        return number

    def read(self, stream: str, *, last: int) -> tuple[tuple[int, bytes], ...]:
        """The last so many records, oldest first.

        Errors: `Corrupt` when one of them is not what was appended.
        """
        query = (
            "SELECT number, checksum, record FROM streams WHERE stream = ?"
            " ORDER BY number DESC LIMIT ?"
        )
        with self._reading() as sql:
            rows = sql.execute(query, (stream, max(last, 0))).fetchall()
        return tuple(
            (number, self._checked(f"{stream}/{number}", checksum, record))
            for number, checksum, record in reversed(rows)
        )

    def close(self) -> None:
        """Let go of the file and the lock; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self, incarnation: Incarnation) -> sqlite3.Connection:
        try:
            # The controller calls from one thread at a time, though not always from the same one.
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as trouble:
            raise Refused(f"{self._path}: {trouble}") from trouble
        try:
            self._prepare(connection, incarnation)
        except sqlite3.DatabaseError as trouble:
            connection.close()
            raise self._translated(trouble) from trouble
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, sql: sqlite3.Connection, incarnation: Incarnation) -> None:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = FULL")
        found = sql.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Corrupt(f"{self._path}: damaged: {found}")
        version = sql.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise Refused(f"{self._path}: of version {version}, which this release cannot read")
        if version == 0:
            # One transaction: a store that was not made to its end is made anew, not half there.
            sql.executescript(f"BEGIN;{_SCHEMA}")
            sql.execute("INSERT INTO term VALUES (1, ?, 0)", (incarnation,))
            sql.execute(f"PRAGMA user_version = {_VERSION}")
            sql.execute("COMMIT")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as sql:
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
                sql.execute("COMMIT")
            except BaseException:
                if sql.in_transaction:
                    sql.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            raise Refused(f"{self._path}: closed")
        try:
            yield self._connection
        except sqlite3.DatabaseError as trouble:
            raise self._translated(trouble) from trouble

    def _translated(self, trouble: sqlite3.DatabaseError) -> Corrupt | Refused:
        """Tell damage, which lasts, from a disk that does not take anything now."""
        if trouble.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Corrupt(f"{self._path}: damaged: {trouble}")
        return Refused(f"{self._path}: {trouble}")

    def _checked(self, name: str, checksum: bytes, value: bytes) -> bytes:
        if _checksum(name, value) != checksum:
            raise Corrupt(f"{self._path}: the value of {name!r} is damaged")
        return value


def _checksum(name: str, value: bytes) -> bytes:
    """Covers the name too, so that a value cannot stand in another's place."""
    body = len(name).to_bytes(4, "big") + name.encode() + value
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()


def _shrink(sql: sqlite3.Connection, stream: str) -> None:
    rows = sql.execute(
        "SELECT number, length(record) FROM streams WHERE stream = ? ORDER BY number DESC",
        (stream,),
    ).fetchall()
    total = 0
    for place, (number, size) in enumerate(rows):
        total += size
        if total > STREAM_BYTES_MAX and place > 0:
            sql.execute("DELETE FROM streams WHERE stream = ? AND number <= ?", (stream, number))
            return


def _lock(path: Path) -> int:
    """Hold the lock for as long as this process lives, however it ends.

    Errors: `Refused` when another process holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Refused(f"{path.parent}: another controller uses this state") from None
    return handle
