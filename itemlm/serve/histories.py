"""Who took what: the data that the service was started with, and the events since then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.serve.store.store import Store
from itemlm.types import ItemId


class History:
    """Histories of people and visits.

    Args:
        store: holds the events.
        dataset: what people did before the service was started, if it is known.
        length: most recent events of each.
    """

    def __init__(self, store: Store, dataset: Dataset | None, length: int) -> None:
        self._store, self._dataset, self._length = store, dataset, length

    def of(
        self, users: Sequence[str], sessions: Sequence[str]
    ) -> tuple[Mapping[str, Sequence[ItemId]], Mapping[str, Sequence[ItemId]]]:
        """Items of users and of sessions, oldest first; those without any are absent."""
        stored = self._store.histories(users, self._length) if users else {}
        of_session = self._store.session_histories(sessions, self._length) if sessions else {}
        past = self.before(users)
        of_user = {
            user: [*past.get(user, ()), *stored.get(user, ())][-self._length :]
            for user in {*past, *stored}
        }
        return of_user, of_session

    def before(self, users: Sequence[str]) -> dict[str, list[ItemId]]:
        """What users did in the data of the start; nothing of those who were forgotten."""
        if self._dataset is None or not users:
            return {}
        known = [user for user in users if user in self._dataset.users]
        forgotten = self._store.is_forgotten(known) if known else set()
        return {
            user: list(self._dataset.query(user).history) for user in known if user not in forgotten
        }

    def forgotten(self, users: Sequence[str]) -> set[str]:
        """Which of these were forgotten."""
        return self._store.is_forgotten(users)

    def by_month(self, item_id: ItemId) -> dict[str, int]:
        """How often an item was taken in the data of the start, by the first day of each month."""
        if self._dataset is None or self._dataset.sequences.timestamps is None:
            return {}
        row = int(self._dataset.items.rows([item_id])[0])
        sequences = self._dataset.sequences
        assert sequences.timestamps is not None
        times = sequences.timestamps[sequences.item_rows == row] if row >= 0 else []
        months = pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("ms")).dt.truncate("1mo")
        counted = months.dt.date().value_counts(name="count")
        return {day.isoformat(): count for day, count in counted.iter_rows()}

    def counts(self) -> dict[str, int]:
        """How often each item was taken in the data of the start, by id as text."""
        if self._dataset is None:
            return {}
        pairs = zip(self._dataset.items.ids, self._dataset.item_counts.tolist(), strict=True)
        return {str(item_id): count for item_id, count in pairs}
