"""The part of a store that keeps events: what people did, when, and to which item."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from itemlm.serve.store.database import Database
from itemlm.serve.store.rows import (
    IMPRESSION,
    MICROSECONDS_A_DAY,
    Cursor,
    EventRow,
    Period,
)
from itemlm.types import DataError

COLUMNS = "event_id, user_id, session_id, item_id, kind, at, value, recommendation_id"
LATEST: Cursor = (2**63 - 1, 2**63 - 1)
EARLIEST = -(2**63)
TAKEN = f"kind <> '{IMPRESSION}'"  # spelled as in the indexes, which are only used if it is
EXPORT_ROWS = 100_000  # in memory at a time
EXPORT_SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "user_id": pl.String(),
        "session_id": pl.String(),
        "item_id": pl.String(),
        "kind": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "value": pl.Float64(),
        "recommendation_id": pl.String(),
    }
)


class Events:
    """Events in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_events(self, events: Sequence[EventRow]) -> list[bool]:
        values = [
            (
                event.event_id,
                event.user_id,
                event.session_id,
                event.item_id,
                event.kind,
                event.at,
                event.value,
                event.recommendation_id,
            )
            for event in events
        ]
        with self.database.write() as session:
            changed = session.change_each(
                f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (event_id) DO NOTHING",
                values,
            )
        return [count == 1 for count in changed]

    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[str]]:
        return self._histories("user_id", users, limit)

    def session_histories(self, sessions: Sequence[str], limit: int) -> dict[str, list[str]]:
        return self._histories("session_id", sessions, limit)

    def _histories(self, column: str, ids: Sequence[str], limit: int) -> dict[str, list[str]]:
        # One row per id, with its items as one JSON text: fewer and smaller rows to fetch.
        found = self.database.rows(
            f"SELECT asked.value, (SELECT {self.database.gathered} FROM ("
            f"SELECT item_id FROM events WHERE {column} = asked.value AND {TAKEN} "
            "ORDER BY at DESC, number DESC LIMIT ?) AS latest) "
            f"FROM {self.database.each}",
            (limit, as_json(ids)),
        )
        newest_first = {key: json.loads(items) for key, items in found if items}
        return {key: items[::-1] for key, items in newest_first.items() if items}

    def events_of(
        self, user_id: str, limit: int, before: Cursor | None = None
    ) -> list[tuple[Cursor, EventRow]]:
        found = self.database.rows(
            f"SELECT number, {COLUMNS} FROM events WHERE user_id = ? AND (at, number) < (?, ?) "
            "ORDER BY at DESC, number DESC LIMIT ?",
            (user_id, *(before or LATEST), limit),
        )
        events = [(number, EventRow(*row)) for number, *row in found]
        return [((event.at, number), event) for number, event in events]

    def item_counts(self, since: int | None = None) -> dict[str, int]:
        return dict(
            self.database.rows(
                f"SELECT item_id, count(*) FROM events WHERE {TAKEN} AND at >= ? GROUP BY item_id",
                (EARLIEST if since is None else since,),
            )
        )

    def popularity(self, item_id: str, period: Period) -> list[tuple[date, int]]:
        days = self.database.rows(
            f"SELECT at / {MICROSECONDS_A_DAY} AS day, count(*) FROM events "
            f"WHERE item_id = ? AND {TAKEN} GROUP BY day",
            (item_id,),
        )
        counts: Counter[date] = Counter()
        for day, count in days:
            counts[_first_day(date(1970, 1, 1) + timedelta(days=day), period)] += count
        return sorted(counts.items())

    def outcomes(self, since: int | None = None, until: int | None = None) -> pl.DataFrame:
        found = self.database.rows(
            "SELECT recommendation_id, item_id, kind, value, at FROM events "
            "WHERE recommendation_id IS NOT NULL AND at >= ? AND at < ? ORDER BY at, number",
            span(since, until),
        )
        schema = {
            "recommendation_id": pl.String(),
            "item_id": pl.String(),
            "kind": pl.String(),
            "value": pl.Float64(),
            "at": pl.Int64(),
        }
        return pl.DataFrame(found, schema=schema, orient="row")

    def export_events(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # In the same folder, so that the last step is a rename.
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as aside:
                parts = [Path(aside) / "0.parquet"]
                pl.DataFrame(schema=EXPORT_SCHEMA).write_parquet(parts[0])
                for frame in self._frames():
                    parts.append(Path(aside) / f"{len(parts)}.parquet")
                    frame.write_parquet(parts[-1])
                whole = Path(aside) / "whole.parquet"
                pl.scan_parquet(parts).sink_parquet(whole)
                with whole.open("rb") as file:
                    os.fsync(file.fileno())
                whole.replace(path)
        except OSError as error:
            raise DataError(
                f"the events cannot be written to {path}: {error.strerror or error}. Name a file "
                "in a folder that can be written and has room for them."
            ) from error

    def _frames(self) -> Iterator[pl.DataFrame]:
        """All events in the order of arrival, in parts: no reading lasts long."""
        after = 0
        while found := self.database.rows(
            f"SELECT number, {COLUMNS} FROM events WHERE number > ? ORDER BY number LIMIT ?",
            (after, EXPORT_ROWS),
        ):
            after = found[-1][0]
            rows = [row[1:] for row in found]
            yield pl.DataFrame(rows, schema=EXPORT_SCHEMA, orient="row")


def as_json(ids: Sequence[str]) -> str:
    """Different ids as one value for `Database.each`."""
    return json.dumps(list(dict.fromkeys(ids)), ensure_ascii=False)


def span(since: int | None, until: int | None) -> tuple[int, int]:
    """Bounds of a span of time that may be open."""
    return (EARLIEST if since is None else since, LATEST[0] if until is None else until)


def _first_day(day: date, period: Period) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day
