"""The part of a store that keeps answers: what was shown to whom, and what might have been.

The history and the items of an answer are JSON text in its row, so that keeping an answer is one
insertion, and forgetting it one deletion.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence

import polars as pl

from itemlm.serve.store.database import Database
from itemlm.serve.store.events import span
from itemlm.serve.store.rows import Recommendation, Shadow, Shown

COLUMNS = (
    "recommendation_id, at, user_id, session_id, model, source, scenario, experiment, group_name, "
    "request, history, items"
)
# Answers of searches, similar items and ranked lists, which say nothing of recommendations.
ASKED_FOR = "'search', 'text', 'behavior', 'ranked'"
SHOWN = pl.List(
    pl.Struct(
        {
            "item_id": pl.String(),
            "place": pl.Int64(),
            "score": pl.Float64(),
            "propensity": pl.Float64(),
        }
    )
)


class Answers:
    """Answers in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def log_recommendations(self, rows: Sequence[Recommendation]) -> None:
        values = [
            (
                row.recommendation_id,
                row.at,
                row.user_id,
                row.session_id,
                row.model,
                row.source,
                row.scenario,
                row.experiment,
                row.group,
                row.request_json,
                json.dumps(row.history, ensure_ascii=False),
                _shown_json(row.items),
            )
            for row in rows
        ]
        with self.database.write() as session:
            session.change_each(
                f"INSERT INTO recommendations ({COLUMNS}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (recommendation_id) DO NOTHING",
                values,
            )

    def recommendation(self, recommendation_id: str) -> Recommendation | None:
        found = self.database.rows(
            f"SELECT {COLUMNS} FROM recommendations WHERE recommendation_id = ?",
            (recommendation_id,),
        )
        if not found:
            return None
        [(*plain, history, items)] = found
        shown = [Shown(**item) for item in json.loads(items)]
        return Recommendation(*(*plain, json.loads(history), shown))

    def shown(self, since: int | None = None, until: int | None = None) -> pl.DataFrame:
        found = self.database.rows(
            "SELECT recommendation_id, at, coalesce(user_id, session_id), model, scenario, "
            "experiment, group_name, items FROM recommendations WHERE at >= ? AND at < ? "
            f"AND source NOT IN ({ASKED_FOR}) ORDER BY at, number",
            span(since, until),
        )
        names = ("person", "model", "scenario", "experiment", "group", "items")
        schema = {
            "recommendation_id": pl.String(),
            "at": pl.Int64(),
            **{name: pl.String() for name in names},
        }
        answers = pl.DataFrame(found, schema=schema, orient="row")
        return (
            answers.with_columns(pl.col("items").str.json_decode(SHOWN))
            .filter(pl.col("items").list.len() > 0)
            .explode("items")
            .unnest("items")
        )

    def log_shadow(self, rows: Sequence[Shadow]) -> None:
        now = time.time_ns() // 1000
        values = [
            (
                row.recommendation_id,
                row.model,
                json.dumps(row.items, ensure_ascii=False),
                row.milliseconds,
                now,
            )
            for row in map(Shadow._make, rows)
        ]
        with self.database.write() as session:
            session.change_each(
                "INSERT INTO shadows (recommendation_id, model, items, milliseconds, at) "
                "VALUES (?, ?, ?, ?, ?)",
                values,
            )

    def shadows(self) -> pl.DataFrame:
        found = self.database.rows(
            "SELECT recommendation_id, model, items, milliseconds FROM shadows ORDER BY number"
        )
        schema = {
            "recommendation_id": pl.String(),
            "model": pl.String(),
            "items": pl.String(),
            "milliseconds": pl.Float64(),
        }
        texts = pl.DataFrame(found, schema=schema, orient="row")
        return texts.with_columns(pl.col("items").str.json_decode(pl.List(pl.String())))


def _shown_json(items: Sequence[Shown]) -> str:
    return json.dumps(
        [
            {
                "item_id": item.item_id,
                "place": item.place,
                "score": _finite(item.score),
                "propensity": _finite(item.propensity),
                "pinned": item.pinned,
            }
            for item in items
        ],
        ensure_ascii=False,
    )


def _finite(number: float | None) -> float | None:
    """JSON has no word for infinity or for what is not a number."""
    return number if number is not None and math.isfinite(number) else None
