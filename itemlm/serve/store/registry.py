"""The part of a store that keeps the service's own affairs: changed items, active models, keys.

Changes and activations are only ever added: what holds is the last one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from itemlm.serve.store.database import Database
from itemlm.serve.store.rows import Activation, ApiKey, ItemChange
from itemlm.types import ConfigError


class Registry:
    """Items, models and keys in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def change_items(self, changes: Sequence[tuple[str, str | None]]) -> list[ItemChange]:
        now = time.time_ns() // 1000
        with self.database.write() as session:
            [(last,)] = session.rows("SELECT coalesce(max(number), 0) FROM item_changes")
            session.change_each(
                "INSERT INTO item_changes (item_id, fields, at) VALUES (?, ?, ?)",
                [(item_id, fields, now) for item_id, fields in changes],
            )
            written = session.rows(
                "SELECT number, item_id, fields, at FROM item_changes WHERE number > ? "
                "ORDER BY number",
                (last,),
            )
        return [ItemChange(*row) for row in written]

    def item_changes(self, after_revision: int = 0) -> list[ItemChange]:
        found = self.database.rows(
            "SELECT number, item_id, fields, at FROM item_changes AS change "
            "WHERE number > ? AND NOT EXISTS (SELECT 1 FROM item_changes AS later "
            "WHERE later.item_id = change.item_id AND later.number > change.number) "
            "ORDER BY number",
            (after_revision,),
        )
        return [ItemChange(*row) for row in found]

    def activate(self, model: str) -> None:
        with self.database.write() as session:
            session.change(
                "INSERT INTO activations (model, at) VALUES (?, ?)", (model, time.time_ns() // 1000)
            )

    def activations(self, limit: int) -> list[Activation]:
        found = self.database.rows(
            "SELECT model, at FROM activations ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [Activation(*row) for row in found]

    def add_key(self, name: str, hash: str, scopes: Sequence[str]) -> None:
        with self.database.write() as session:
            added = session.change(
                "INSERT INTO api_keys (name, hash, scopes, created_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                (name, hash, json.dumps(list(scopes)), time.time_ns() // 1000),
            )
        if not added:
            raise ConfigError(
                f"There was a key '{name}' before. Choose another name: logs tell keys apart by it."
            )

    def keys(self) -> list[ApiKey]:
        found = self.database.rows(
            "SELECT name, hash, scopes, created_at, revoked_at FROM api_keys ORDER BY number"
        )
        return [
            ApiKey(name, hash, tuple(json.loads(scopes)), created_at, revoked_at)
            for name, hash, scopes, created_at, revoked_at in found
        ]

    def revoke_key(self, name: str) -> bool:
        with self.database.write() as session:
            revoked = session.change(
                "UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
                (time.time_ns() // 1000, name),
            )
        return revoked == 1
