"""itemlm: from Parquet to batches of next items."""

from __future__ import annotations

from pathlib import Path

import common
import numpy as np
from data_shared import BATCH, CORE, LENGTH, Stopwatch, quality

import itemlm
import itemlm.data.readers  # imports are not timed, here as elsewhere
from itemlm.data.filters import k_core
from itemlm.sample.next_items import NextItems

asked = common.settings()
watch = Stopwatch(asked["events"])
dataset = itemlm.Dataset.from_files(Path(asked["folder"]) / "events.parquet")
watch.lap("read")
dataset = k_core(dataset, CORE, CORE)
watch.lap("5-core")
split = dataset.split(itemlm.LeaveOneOut())
watch.lap("split")
examples = NextItems(
    split.train.sequences, padding=len(dataset.items), length=LENGTH, batch_size=BATCH, seed=0
)
targets = sum(int(batch.lengths_B.sum()) for batch in examples.batches(epoch=0))
watch.lap("batches")

common.report(
    values={**watch.values(), "targets": targets},
    quality=quality(
        len(dataset.sequences.item_rows),
        len(dataset.items),
        dataset.users.ids.gather(split.test.queries.user_rows).to_numpy(),
        dataset.items.ids.gather(np.asarray(split.test.target_rows)).to_numpy(),
    ),
    versions=("itemlm", "polars", "numpy"),
)
