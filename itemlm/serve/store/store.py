"""The contract of a store: what the service may ask of its memory.

Every method may be called from any thread. What a method has written is on disk when it returns,
and survives a kill and a power cut. Ids are text and times are microseconds, as `rows.py` says.
Spans of time hold `since` and end before `until`; None is open.

All methods raise `StoreUnavailable` where the store cannot be reached, and `DataError` for text
that cannot be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

import polars as pl

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
    StoreCounts,
)


class Store(Protocol):
    """The memory of the service."""

    # --- Events ---------------------------------------------------------------------------------

    def add_events(self, events: Sequence[EventRow]) -> list[bool]:
        """Keep events, all or none. False for each whose `event_id` is known already."""
        ...

    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[str]]:
        """The last `limit` items of each user, oldest first, without impressions.

        Events of the same time are in the order in which they arrived. Users without events are
        absent.
        """
        ...

    def session_histories(self, sessions: Sequence[str], limit: int) -> dict[str, list[str]]:
        """The same for visitors without an account."""
        ...

    def events_of(
        self, user_id: str, limit: int, before: Cursor | None = None
    ) -> list[tuple[Cursor, EventRow]]:
        """A page of a person's events, newest first; the last cursor gives the next page."""
        ...

    def item_counts(self, since: int | None = None) -> dict[str, int]:
        """Events of each item, without impressions."""
        ...

    def popularity(self, item_id: str, period: Period) -> list[tuple[date, int]]:
        """Events of an item by period, without impressions.

        Periods are named by their first day (a week's is Monday), oldest first. Those without
        events are absent.
        """
        ...

    def export_events(self, path: Path) -> None:
        """Write all events to a Parquet file, which appears whole or not at all."""
        ...

    # --- Answers --------------------------------------------------------------------------------

    def log_recommendations(self, rows: Sequence[Recommendation]) -> None:
        """Keep answers; one whose id is known already is left as it is."""
        ...

    def recommendation(self, recommendation_id: str) -> Recommendation | None:
        """An answer, if it is kept."""
        ...

    def shown(self, since: int | None = None, until: int | None = None) -> pl.DataFrame:
        """One row per recommended item, by time and place.

        Searches, similar items and ranked lists are left out: nobody recommended these.

        Columns: recommendation_id, at, person (the user, else the session), model, scenario,
        experiment, group, item_id, place, score, propensity.
        """
        ...

    def outcomes(self, since: int | None = None, until: int | None = None) -> pl.DataFrame:
        """Events that name an answer: recommendation_id, item_id, kind, value, at."""
        ...

    def log_shadow(self, rows: Sequence[Shadow]) -> None:
        """Keep what other models would have answered."""
        ...

    def shadows(self) -> pl.DataFrame:
        """One row per shadow answer: recommendation_id, model, items, milliseconds."""
        ...

    # --- Items, models, keys --------------------------------------------------------------------

    def change_items(self, changes: Sequence[tuple[str, str | None]]) -> list[ItemChange]:
        """Set the fields of items (JSON text), or remove them (None); all or none."""
        ...

    def item_changes(self, after_revision: int = 0) -> list[ItemChange]:
        """The last change of every item that changed after a revision, by revision."""
        ...

    def activate(self, model: str) -> None:
        """Write down that a model answers from now on."""
        ...

    def activations(self, limit: int) -> list[Activation]:
        """Which models answered, newest first."""
        ...

    def add_key(self, name: str, hash: str, scopes: Sequence[str]) -> None:
        """Keep a key.

        Raises:
            ConfigError: if the name is taken, be it by a revoked key.
        """
        ...

    def keys(self) -> list[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        ...

    def revoke_key(self, name: str) -> bool:
        """End a key; False if there is none that is valid."""
        ...

    # --- People and upkeep ----------------------------------------------------------------------

    def forget(self, user_id: str) -> Forgotten:
        """Delete all events and answers of a person, and remember a hash of the id.

        Visits without a name count as the person's where the person signed in during the visit.
        A SQLite file is then written anew, so that no copy stays in it; writers wait until then.
        PostgreSQL frees the space in its own time, and its log and backups are not touched.
        """
        ...

    def is_forgotten(self, users: Sequence[str]) -> set[str]:
        """Which of these were ever forgotten; also those who came back."""
        ...

    def retain(
        self, events_days: float | None = None, recommendations_days: float | None = None
    ) -> tuple[int, int]:
        """Delete what is older, little by little, so that writers need not wait.

        Returns:
            how many events and how many answers were deleted.
        """
        ...

    def counts(self) -> StoreCounts:
        """How much there is. Reads whole indexes: not for every request."""
        ...

    def ping(self) -> None:
        """Do nothing if the store can be read.

        Raises:
            StoreUnavailable: otherwise.
        """
        ...

    def close(self) -> None:
        """Let go of all connections; later calls raise `StoreUnavailable`."""
        ...
