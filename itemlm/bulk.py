"""In bulk: what a recommender would show to everyone in a dataset, written to one file.

For mail, for pages that are made in advance, for analysts: millions of slates, computed once. Users
are asked in batches of rows, and finished rows leave memory as parts on disk, so that memory does
not grow with the number of users. The file appears whole or not at all.

Shapes      U users, N items, E events, B users of a batch, K places, P places that are filled.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from itemlm.data.dataset import Dataset
from itemlm.recommender import Filter, Recommender
from itemlm.types import (
    ArtifactError,
    BoolArray,
    ConfigError,
    DataError,
    IntArray,
    QueryBatch,
    UnknownName,
)

PART_ROWS = 500_000  # kept in memory before they are written
# By suffix, the method of a lazy frame that writes the file.
SINKS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson"}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        users: who were answered.
        rows: places that were filled, over all users.
        short: users with fewer than k items, since nothing else may be shown.
        strangers: users of whose history the recommender knows nothing; they got what anyone would.
    """

    users: int
    rows: int
    short: int
    strangers: int


def recommend_all(
    recommender: Recommender,
    dataset: Dataset,
    path: str | Path,
    k: int = 10,
    *,
    only: Filter | None = None,
    without: Filter | None = None,
    exclude_seen: bool = True,
    batch_size: int = 1024,
    progress: bool = False,
) -> Written:
    """Write the recommendations of every user of a dataset, those without events too.

    One row per user and place: `user_id`, `place` (1 is the first), `item_id` and `score`, users in
    the order of the dataset. They are what `recommender.recommend(dataset.query(user), k)` answers.

    Args:
        recommender: who is asked.
        dataset: whose users; everything that a user did is their history. Items that the
            recommender does not know are left out.
        path: ends in .parquet, .csv or .jsonl, which says the format. An older file is replaced.
        k: places of each slate.
        only, without: which items may be shown, as in `Recommender.recommend`.
        exclude_seen: leave out the items of the history.
        batch_size: users asked at a time.
        progress: show a bar on the terminal's error stream.

    Raises:
        DataError: if k is not positive, a filter does not fit the catalog or there are no users.
        ConfigError: if the batch size is not positive or the suffix is unknown.
        ArtifactError: if the path is a folder.
    """
    path = Path(path)
    if k < 1:
        raise DataError(f"k is {k}, but a slate needs at least one place.")
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}, but it must be at least 1.")
    if path.suffix not in SINKS:
        raise UnknownName("format with the suffix", path.suffix, SINKS)
    if path.is_dir():
        raise ArtifactError(f"{path} is a folder; give the name of a file.")
    if not len(dataset.users):
        raise DataError(f"'{dataset.name}' has no users, so there is nobody to recommend to.")
    allowed_N = None
    if only is not None or without is not None:
        allowed_N = recommender.catalog.allowed(only, without)
    users, rows, short, strangers = len(dataset.users), 0, 0, 0
    places = min(k, len(recommender.catalog))
    with _parts(path) as parts, _bar(shown=progress) as bar:
        task = bar.add_task("users", total=users)
        waiting: list[pl.DataFrame] = []
        held = 0
        for first, batch in _batches(recommender, dataset, batch_size, exclude_seen, allowed_N):
            answers = _answers(recommender, dataset, first, batch, places)
            strangers += int((np.diff(batch.offsets) == 0).sum())
            short += len(batch) - int((answers["place"] == k).sum())
            rows += answers.height
            held += answers.height
            waiting.append(answers)
            if held >= PART_ROWS or first + len(batch) == users:
                pl.concat(waiting).write_parquet(parts / f"{first:012}.parquet")
                waiting, held = [], 0
            bar.update(task, completed=first + len(batch))
    return Written(users=users, rows=rows, short=short, strangers=strangers)


def _batches(
    recommender: Recommender,
    dataset: Dataset,
    batch_size: int,
    exclude_seen: bool,
    allowed_N: BoolArray | None,
) -> Iterator[tuple[int, QueryBatch]]:
    """The histories of all users in rows of the recommender, with the first user of each batch."""
    sequences = dataset.sequences
    row_of_item = recommender.catalog.items.rows(dataset.items.ids.to_list())
    for first in range(0, len(dataset.users), batch_size):
        offsets = sequences.offsets[first : first + batch_size + 1]
        row_E = row_of_item[sequences.item_rows[offsets[0] : offsets[-1]]]
        known_E = row_E >= 0
        known_before = np.concatenate([[0], np.cumsum(known_E)])
        yield (
            first,
            QueryBatch(
                offsets=known_before[offsets - offsets[0]],
                item_rows=row_E[known_E],
                user_rows=_user_rows(recommender, dataset, first, len(offsets) - 1),
                exclude_seen=exclude_seen,
                allowed_N=allowed_N,
            ),
        )


def _user_rows(recommender: Recommender, dataset: Dataset, first: int, many: int) -> IntArray:
    """[B] the recommender's rows of these users, -1 where it does not know them."""
    if recommender.users is None:
        return np.full(many, -1, dtype=np.int64)
    return recommender.users.rows(dataset.users.ids[first : first + many].to_list())


def _answers(
    recommender: Recommender, dataset: Dataset, first: int, batch: QueryBatch, places: int
) -> pl.DataFrame:
    """The slates of a batch as rows."""
    rows_BK, scores_BK = recommender.topk(batch, places)
    filled_BK = rows_BK >= 0
    user_P, place_P = np.nonzero(filled_BK)
    return pl.DataFrame(
        {
            "user_id": dataset.users.ids.gather(first + user_P),
            "place": (place_P + 1).astype(np.int32),
            "item_id": recommender.catalog.items.ids.gather(rows_BK[filled_BK]),
            "score": scores_BK[filled_BK].astype(np.float64),
        }
    )


def _bar(*, shown: bool) -> Progress:
    """A bar that counts users."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    console = Console(stderr=True)
    return Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    )


@contextmanager
def _parts(path: Path) -> Iterator[Path]:
    """A folder for parts of a table, which become the file at `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir()
    try:
        yield aside
        whole = aside / f"whole{path.suffix}"
        table = pl.scan_parquet(sorted(aside.glob("*.parquet")))
        getattr(table, SINKS[path.suffix])(whole)
        os.replace(whole, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
