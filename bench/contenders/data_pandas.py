"""pandas by hand: from Parquet to padded NumPy batches, as one writes it for speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import common
import numpy as np
import pandas as pd
from data_shared import BATCH, LENGTH, Stopwatch, five_core, quality


def batches(
    offsets: np.ndarray, item_E: np.ndarray, padding: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The newest LENGTH + 1 events of each user, shuffled: items read and items that follow."""
    lengths_U = np.minimum(np.diff(offsets), LENGTH + 1)
    starts_U = offsets[1:] - lengths_U
    columns = np.arange(LENGTH + 1)
    order = np.random.default_rng(0).permutation(np.flatnonzero(lengths_U >= 2))
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        inside = columns < lengths_U[chosen, None]
        windows = np.where(
            inside, item_E[np.where(inside, starts_U[chosen, None] + columns, 0)], padding
        )
        yield windows[:, :-1], windows[:, 1:]


asked = common.settings()
watch = Stopwatch(asked["events"])
log = pd.read_parquet(Path(asked["folder"]) / "events.parquet")
watch.lap("read")
log = five_core(log)
watch.lap("5-core")
log = log.sort_values(["user_id", "timestamp"])
from_end = log.groupby("user_id").cumcount(ascending=False)
train, validation, test = log[from_end >= 2], log[from_end == 1], log[from_end == 0]
watch.lap("split")
user_E, users = pd.factorize(train["user_id"])
item_E, items = pd.factorize(train["item_id"], sort=True)
offsets = np.concatenate([[0], np.cumsum(np.bincount(user_E))])
targets = 0
for _, targets_BT in batches(offsets, item_E, padding=len(items)):
    targets += int((targets_BT != len(items)).sum())
watch.lap("batches")

common.report(
    values={**watch.values(), "targets": targets},
    quality=quality(len(log), log["item_id"].nunique(), test["user_id"], test["item_id"]),
    versions=("pandas", "pyarrow", "numpy"),
)
