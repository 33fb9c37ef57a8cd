"""A store in PostgreSQL, for several services that share one memory.

Tables lie in the schema `itemlm`, so that they do not mix with others of the database.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from itemlm.serve.store.database import Database, Pool, Row, Session, unfit_text
from itemlm.serve.store.rows import StoreUnavailable
from itemlm.types import ConfigError, MissingExtra

if TYPE_CHECKING:
    import psycopg

SCHEMA = "itemlm"
WRITERS = 0x6974656D6C6D  # "itemlm": the number of the lock that lets one writer in at a time
CONNECT_SECONDS = 5


class PostgresDatabase(Database):
    """A database of a PostgreSQL server, by its address."""

    number = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    each = "json_array_elements_text(?::json) AS asked(value)"
    gathered = "json_agg(item_id)::text"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra("PostgreSQL storage", "postgres") from error
        self._psycopg = psycopg
        self._url = url
        self.name = _without_password(url)
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # Without the cause, which may quote the password.
            raise ConfigError(
                f"The store {self.name} has no valid address: {self._told(error)}. Write "
                "postgresql://user:password@host/database."
            ) from None
        self._pool = Pool(self._connect, _usable, self.name)
        # Not "IF NOT EXISTS": that asks for the right to make one even where there is one.
        if not self.rows("SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)):
            with self.write() as session:
                session.change(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    def _connect(self) -> psycopg.Connection[Row]:
        connection = self._psycopg.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="itemlm"
        )
        # A server may be set to answer before a commit is on disk. Ours must not.
        connection.execute(f"SET search_path TO {SCHEMA}; SET synchronous_commit TO on")
        return connection

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        """A connection of the pool, with errors as sentences."""
        try:
            connection = self._pool.take()
            try:
                yield connection
            finally:
                self._pool.give(connection)
        except (UnicodeEncodeError, self._psycopg.DataError) as error:
            raise unfit_text(error) from error
        except (
            self._psycopg.OperationalError,
            self._psycopg.errors.InsufficientPrivilege,
            self._psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            raise StoreUnavailable(
                f"The store {self.name} cannot be used now: {self._told(error)}. Look whether the "
                "server runs, and whether the address and the rights of the user are as they "
                "should be."
            ) from error

    def _told(self, error: Exception) -> str:
        return str(error).replace(self._url, self.name).strip()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._connection() as connection:
            return connection.execute(_percent(sql), values).fetchall()

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._connection() as connection, connection.transaction():
            # One writer at a time, as in SQLite: numbers then become visible in their order, so
            # that whoever asks for changes after a revision misses none.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS,))
            yield _PostgresSession(connection)

    def scrub(self) -> None:
        """Nothing: the server frees space in its own time, and owns its log and its backups."""

    def tables(self) -> set[str]:
        found = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = ?", (SCHEMA,))
        return {name for (name,) in found}

    def close(self) -> None:
        self._pool.close()


class _PostgresSession:
    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(_percent(sql), values).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self._connection.execute(_percent(sql), values).rowcount

    def change_each(self, sql: str, many: Iterable[Sequence[Any]]) -> list[int]:
        sets = list(many)
        if not sets:
            return []
        changed = []
        with self._connection.cursor() as cursor:
            cursor.executemany(_percent(sql), sets, returning=True)
            while True:
                changed.append(cursor.rowcount)
                if not cursor.nextset():
                    return changed


def _percent(sql: str) -> bytes:
    """Psycopg's spelling of places for values; our SQL has no other question or percent sign."""
    return sql.replace("?", "%s").encode()


def _usable(connection: psycopg.Connection[Row]) -> bool:
    """False where the server ended an idle connection: it then has something to read."""
    if connection.closed:
        return False
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return not readable


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"postgresql://{parts.hostname or ''}{parts.path}"
    except ValueError:
        return "postgresql://..."
