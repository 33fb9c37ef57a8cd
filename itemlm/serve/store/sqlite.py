"""A store in one SQLite file: many readers beside one writer, in any number of processes.

The write-ahead log (WAL) lets readers go on while something is written. See
docs/decisions/0009-sqlite-for-events.md.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from itemlm.serve.store.database import Database, Pool, Row, Session, unfit_text
from itemlm.serve.store.rows import StoreUnavailable
from itemlm.types import ArtifactError

WAIT_SECONDS = 10  # for a writer in another process
CACHE_KIB = 32 * 1024  # pages in memory, of each connection
LARGEST_LOG = 64 * 2**20  # bytes that the WAL file keeps between checkpoints
DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class SqliteDatabase(Database):
    """A SQLite file. It is made, readable by its owner only, if there is none."""

    number = "INTEGER PRIMARY KEY"
    each = "json_each(?) AS asked"
    gathered = "json_group_array(item_id)"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        # Writers of this process queue here: SQLite's own waiting sleeps and looks again.
        self._writing = threading.Lock()
        if path.is_dir():
            raise ArtifactError(f"{path} is a folder. Name a file for the store.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreUnavailable(
                f"The store {path} cannot be opened for writing: {error.strerror}. Name a file in "
                "a folder that can be written."
            ) from error
        self._pool = Pool(self._connect, lambda _: True, self.name)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            [[mode]] = connection.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit returns when the log is on disk, so that it survives a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
        except sqlite3.Error:
            connection.close()
            raise
        if mode != "wal":
            connection.close()
            raise StoreUnavailable(
                f"The store {self.name} cannot keep a write-ahead log there. Put it on a local "
                "disk: network folders do not carry it."
            )
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the pool, with errors as sentences."""
        try:
            connection = self._pool.take()
            try:
                yield connection
            finally:
                self._pool.give(connection)
        except UnicodeEncodeError as error:
            raise unfit_text(error) from error
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(
                f"The store {self.name} cannot be used now: {error}. Look whether the disk is full "
                "or read-only, and whether another program keeps the file locked."
            ) from error
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in DAMAGED:
                raise
            raise ArtifactError(
                f"{self.name} is not a SQLite database, or it is damaged ({error}). Name another "
                "file, or put back a copy."
            ) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._connection() as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteSession(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        # Zeroing deleted rows (secure_delete) is not enough: when SQLite balances its pages it
        # leaves stale copies of rows in their unused parts. Only writing the file anew drops them.
        with self._writing, self._connection() as connection:
            connection.execute("VACUUM")
            [[busy, _, _]] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreUnavailable(
                f"The rows are deleted, but another program reads {self.name}, which keeps an old "
                "copy in its log. Ask again when it is done."
            )

    def tables(self) -> set[str]:
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type='table'")}

    def close(self) -> None:
        self._pool.close()


class _SqliteSession:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, values).rowcount

    def change_each(self, sql: str, many: Iterable[Sequence[Any]]) -> list[int]:
        return [self._connection.execute(sql, values).rowcount for values in many]
