"""What the service remembers: events, answers, items, keys. `open_store` gives a `Store`.

SQLite in one file is the default and needs nothing installed. PostgreSQL is for several services
that share one memory. Both run the same SQL (`sql.py` and the parts it is made of) over the same
tables (`migrations.py`); `sqlite.py` and `postgres.py` hold what differs.
"""

from __future__ import annotations

import os
from pathlib import Path

from itemlm.serve.store.rows import (
    Activation,
    ApiKey,
    Cursor,
    EventRow,
    Forgotten,
    ItemChange,
    Period,
    Recommendation,
    Shadow,
    Shown,
    StoreCounts,
    StoreUnavailable,
)
from itemlm.serve.store.sql import SqlStore
from itemlm.serve.store.sqlite import SqliteDatabase
from itemlm.serve.store.store import Store
from itemlm.types import ConfigError

__all__ = [
    "Activation",
    "ApiKey",
    "Cursor",
    "EventRow",
    "Forgotten",
    "ItemChange",
    "Period",
    "Recommendation",
    "Shadow",
    "Shown",
    "Store",
    "StoreCounts",
    "StoreUnavailable",
    "open_store",
]


def open_store(url: str | os.PathLike[str]) -> Store:
    """Open a store, and make or update its tables where needed.

    Args:
        url: a path of a SQLite file, `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`
            or `postgresql://user:password@host/database`. A SQLite file that does not exist is
            made.

    Raises:
        ConfigError: if the address is of another kind.
        ArtifactError: if there is something else than a store, or one of a newer itemlm.
        StoreUnavailable: if it cannot be reached or written.
        MissingExtra: if PostgreSQL is asked for and psycopg is not installed.
    """
    address = os.fspath(url)
    if address.startswith(("postgresql://", "postgres://")):
        from itemlm.serve.store.postgres import PostgresDatabase

        return SqlStore(PostgresDatabase(address))
    path = address.removeprefix("sqlite:///")
    if "://" in path or path in ("", ":memory:"):
        raise ConfigError(
            f"'{address.partition('://')[0]}' does not name a store. Give the path of a SQLite "
            "file, sqlite:///path or postgresql://user@host/database."
        )
    return SqlStore(SqliteDatabase(Path(path)))
