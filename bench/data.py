"""From a Parquet file of events to batches: read, 5-core, leave-one-out, one pass over the batches.

python bench/data.py
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from harness.data import CACHE
from harness.race import Contender, Figure, Race

MOST_FOR_RECBOLE = 2**24  # events: the whole numbers that float32 can tell apart


def made(settings: Mapping[str, Any]) -> dict[str, str]:
    """A folder with the events of a race as Parquet, as arrays and as RecBole's atomic file."""
    events = settings["events"]
    folder = CACHE / f"events-{events}"
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        (aside / "events").mkdir(parents=True)
        _write(_log(events), aside)
        aside.rename(folder)
    return {"folder": str(folder)}


def _log(events: int, seed: int = 0) -> pl.DataFrame:
    """Histories of lognormal length over Zipf items, in the order of time, no two at one moment."""
    rng = np.random.default_rng(seed)
    users, items = events * 3 // 50, events // 125
    share_U = rng.lognormal(0.0, 1.2, users)
    user_E = rng.choice(users, events, p=share_U / share_U.sum())
    chance_N = 1.0 / (np.arange(items) + 20.0) ** 0.9
    item_E = rng.choice(items, events, p=chance_N / chance_N.sum())
    # Ids as a database gives them: whole numbers with gaps, in no order of popularity.
    user_ids = rng.choice(users * 8, users, replace=False) + 1
    item_ids = rng.choice(items * 8, items, replace=False) + 1
    moment_E = 1_500_000_000_000 + np.cumsum(rng.integers(1, 10_000, events))
    columns = {"user_id": user_ids[user_E], "item_id": item_ids[item_E], "timestamp": moment_E}
    return pl.DataFrame(columns)


def _write(log: pl.DataFrame, folder: Path) -> None:
    log.write_parquet(folder / "events.parquet")
    for column in log.get_columns():
        np.save(folder / f"{column.name}.npy", column.to_numpy())
    # RecBole keeps numbers as float32, which cannot tell two moments of a day apart: it gets the
    # place of each event in time instead.
    if len(log) <= MOST_FOR_RECBOLE:
        typed = log.select(
            pl.col("user_id").alias("user_id:token"),
            pl.col("item_id").alias("item_id:token"),
            pl.int_range(pl.len()).alias("timestamp:float"),
        )
        typed.write_csv(folder / "events" / "events.inter", separator="\t")


def _race(events: int, *peers: str, rounds: int) -> Race:
    millions = f"{events / 1e6:g} million events"
    return Race(
        name=millions,
        measure="seconds",
        settings={"events": events},
        quick={"events": 250_000},
        prepare=made,
        contenders=(Contender("itemlm"), *(Contender(peer) for peer in peers)),
        rounds=rounds,
        reach="10x RecBole, 3x pandas; memory at most 3x the input (24 bytes an event)",
        bound="At 2.5 million events, reading Parquet and cold memory keep pandas near.",
    )


FIGURE = Figure(
    name="data",
    title="Data",
    text=(
        "From a Parquet file of user, item and time (64-bit integers, in the order of time, no two "
        "events at one moment) to one pass over the training batches: reading with all checks, the "
        "5-core, leave-one-out and batches of 128 histories of up to 50 positions. Equal are the "
        "events, users and items after the 5-core and the test answer of every user, by a digest. "
        "itemlm and RecBole make every event but a user's first a target; pandas and RecTools read "
        "the newest 51 events of each user, which is about a fifth less work in the last stage. "
        "RecBole reads its own text format and makes one example of every prefix, so its batches "
        "hold 128 targets. RecTools has no k-core and its environment no Parquet: it gets the "
        "arrays for nothing and the 5-core of the pandas contender. RecBole was not run at 25 "
        "million events: its prefixes alone would take 50 x 8 bytes an event, 10 GB, beside the "
        "lists and frames that they are made from."
    ),
    races=(
        _race(2_500_000, "pandas", "rectools", "recbole", rounds=1),
        _race(25_000_000, "pandas", rounds=3),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
