"""A store over any of our databases: its parts in one, and what concerns several of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from itertools import chain

from itemlm.serve.store.answers import Answers
from itemlm.serve.store.database import Database, Session
from itemlm.serve.store.events import Events, as_json
from itemlm.serve.store.migrations import migrate, salt
from itemlm.serve.store.registry import Registry
from itemlm.serve.store.rows import MICROSECONDS_A_DAY, Forgotten, StoreCounts

DELETED_AT_ONCE = 2000  # rows: some hundredths of a second
PAUSE_SECONDS = 0.01  # between such deletions, for writers that wait


class SqlStore(Events, Answers, Registry):
    """A `Store`; its methods are described there."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        try:
            migrate(database)
            self._salt = salt(database)
        except BaseException:
            database.close()
            raise

    # --- People ---------------------------------------------------------------------------------

    def forget(self, user_id: str) -> Forgotten:
        with self.database.write() as session:
            session.change(
                "INSERT INTO forgotten (hash, at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
                (self._hash(user_id), time.time_ns() // 1000),
            )
            forgotten = self._delete_person(session, user_id)
        self.database.scrub()
        return forgotten

    def _delete_person(self, session: Session, user_id: str) -> Forgotten:
        listed = f"IN (SELECT asked.value FROM {self.database.each})"
        visits = session.rows(
            "SELECT session_id FROM events WHERE user_id = ? AND session_id IS NOT NULL UNION "
            "SELECT session_id FROM recommendations WHERE user_id = ? AND session_id IS NOT NULL",
            (user_id, user_id),
        )
        named = as_json([visit for (visit,) in visits])
        # An answer to nobody is the person's if it was part of their visit or led them on.
        answers = session.rows(
            "SELECT recommendation_id FROM recommendations WHERE user_id = ? "
            f"OR (user_id IS NULL AND (session_id {listed} OR recommendation_id IN "
            "(SELECT recommendation_id FROM events WHERE user_id = ?)))",
            (user_id, named, user_id),
        )
        theirs = as_json(list(chain.from_iterable(answers)))
        for table in ("shadows", "recommendations"):
            session.change(f"DELETE FROM {table} WHERE recommendation_id {listed}", (theirs,))
        events = session.change(
            f"DELETE FROM events WHERE user_id = ? OR (user_id IS NULL AND session_id {listed})",
            (user_id, named),
        )
        return Forgotten(events=events, recommendations=len(answers))

    def is_forgotten(self, users: Sequence[str]) -> set[str]:
        hashes = {self._hash(user): user for user in users}
        found = self.database.rows(
            f"SELECT hash FROM forgotten WHERE hash IN (SELECT value FROM {self.database.each})",
            (as_json(list(hashes)),),
        )
        return {hashes[hash] for (hash,) in found}

    def _hash(self, user_id: str) -> str:
        text = user_id.encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._salt, digest_size=32).hexdigest()

    # --- Upkeep ---------------------------------------------------------------------------------

    def retain(
        self, events_days: float | None = None, recommendations_days: float | None = None
    ) -> tuple[int, int]:
        events = self._delete_old("events", events_days)
        self._delete_old("shadows", recommendations_days)
        return events, self._delete_old("recommendations", recommendations_days)

    def _delete_old(self, table: str, days: float | None) -> int:
        if days is None:
            return 0
        oldest = time.time_ns() // 1000 - int(days * MICROSECONDS_A_DAY)
        deleted = 0
        while True:
            with self.database.write() as session:
                count = session.change(
                    f"DELETE FROM {table} WHERE number IN "
                    f"(SELECT number FROM {table} WHERE at < ? ORDER BY at LIMIT ?)",
                    (oldest, DELETED_AT_ONCE),
                )
            deleted += count
            if count < DELETED_AT_ONCE:
                return deleted
            time.sleep(PAUSE_SECONDS)

    def counts(self) -> StoreCounts:
        [counts] = self.database.rows(
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM recommendations), "
            "(SELECT count(DISTINCT user_id) FROM events)"
        )
        return StoreCounts(*counts)

    def ping(self) -> None:
        self.database.rows("SELECT version FROM migrations LIMIT 1")

    def close(self) -> None:
        self.database.close()
