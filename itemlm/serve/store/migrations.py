"""The tables of a store, as numbered steps. A step that was released is never changed.

Each step runs in a transaction that also records its number, so a store is always at one of them.
`{number}` stands for the database's way of numbering rows. Lists are kept as JSON text.
"""

from __future__ import annotations

import secrets
import time

from itemlm.serve.store.database import Database
from itemlm.types import ArtifactError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1. Events, answers, items, models and keys.
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        """CREATE TABLE events (
            number {number},
            event_id TEXT NOT NULL UNIQUE,
            user_id TEXT,
            session_id TEXT,
            item_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            at BIGINT NOT NULL,
            value DOUBLE PRECISION,
            recommendation_id TEXT
        )""",
        "CREATE INDEX events_by_user ON events (user_id, at, number) WHERE user_id IS NOT NULL",
        # These hold all that a history or a count needs, `kind` too, which SQLite looks at though
        # the index says it: the table itself is then not read.
        """CREATE INDEX histories_by_user ON events (user_id, at, number, item_id, kind)
            WHERE user_id IS NOT NULL AND kind <> 'impression'""",
        """CREATE INDEX histories_by_session ON events (session_id, at, number, item_id, kind)
            WHERE session_id IS NOT NULL AND kind <> 'impression'""",
        """CREATE INDEX events_by_item ON events (item_id, at, kind) WHERE kind <> 'impression'""",
        "CREATE INDEX events_by_time ON events (at)",
        """CREATE TABLE recommendations (
            number {number},
            recommendation_id TEXT NOT NULL UNIQUE,
            at BIGINT NOT NULL,
            user_id TEXT,
            session_id TEXT,
            model TEXT NOT NULL,
            source TEXT NOT NULL,
            scenario TEXT,
            experiment TEXT,
            group_name TEXT,
            request TEXT NOT NULL,
            history TEXT NOT NULL,
            items TEXT NOT NULL
        )""",
        "CREATE INDEX recommendations_by_time ON recommendations (at)",
        """CREATE INDEX recommendations_by_user ON recommendations (user_id)
            WHERE user_id IS NOT NULL""",
        """CREATE INDEX recommendations_by_session ON recommendations (session_id)
            WHERE session_id IS NOT NULL""",
        "CREATE TABLE forgotten (hash TEXT PRIMARY KEY, at BIGINT NOT NULL)",
        """CREATE TABLE item_changes (
            number {number}, item_id TEXT NOT NULL, fields TEXT, at BIGINT NOT NULL
        )""",
        "CREATE INDEX item_changes_by_item ON item_changes (item_id, number)",
        "CREATE TABLE activations (number {number}, model TEXT NOT NULL, at BIGINT NOT NULL)",
        """CREATE TABLE api_keys (
            number {number},
            name TEXT NOT NULL UNIQUE,
            hash TEXT NOT NULL,
            scopes TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            revoked_at BIGINT
        )""",
    ),
    # 2. Answers of models that run in the shadow of another.
    (
        """CREATE TABLE shadows (
            number {number},
            recommendation_id TEXT NOT NULL,
            model TEXT NOT NULL,
            items TEXT NOT NULL,
            milliseconds DOUBLE PRECISION NOT NULL,
            at BIGINT NOT NULL
        )""",
        "CREATE INDEX shadows_by_recommendation ON shadows (recommendation_id)",
        "CREATE INDEX shadows_by_time ON shadows (at)",
    ),
)


def migrate(database: Database) -> None:
    """Bring a database to the newest step.

    Raises:
        ArtifactError: if a newer itemlm wrote it, or another program.
    """
    tables = database.tables()
    if tables and "migrations" not in tables:
        raise ArtifactError(
            f"{database.name} holds other tables ({', '.join(sorted(tables)[:3])}), not a store of "
            "itemlm. Name another place."
        )
    with database.write() as session:
        session.change(
            "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, at BIGINT NOT NULL)"
        )
    for version, statements in enumerate(MIGRATIONS, start=1):
        with database.write() as session:
            [(done,)] = session.rows("SELECT coalesce(max(version), 0) FROM migrations")
            if done > len(MIGRATIONS):
                raise ArtifactError(
                    f"The store {database.name} has version {done}, this itemlm knows versions up "
                    f"to {len(MIGRATIONS)}. Use the newer itemlm that wrote it."
                )
            if done >= version:
                continue
            for statement in statements:
                session.change(statement.replace("{number}", database.number))
            now = time.time_ns() // 1000
            session.change("INSERT INTO migrations VALUES (?, ?)", (version, now))


def salt(database: Database) -> bytes:
    """A secret number of this store, made when it is first asked for."""
    with database.write() as session:
        session.change(
            "INSERT INTO meta VALUES ('salt', ?) ON CONFLICT DO NOTHING", (secrets.token_hex(32),)
        )
        [(kept,)] = session.rows("SELECT value FROM meta WHERE name = 'salt'")
    return bytes.fromhex(kept)
