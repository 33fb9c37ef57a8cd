"""RecTools: 5-core in pandas, then its Dataset, its splitter and SASRec's own data preparator."""

from __future__ import annotations

from pathlib import Path

import common
import numpy as np
import pandas as pd
from data_shared import BATCH, LENGTH, Stopwatch, five_core, quality
from rectools import Columns
from rectools.dataset import Dataset
from rectools.model_selection import LastNSplitter
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator
from rectools.models.nn.transformers.utils import leave_one_out_mask

asked = common.settings()
watch = Stopwatch(asked["events"])
# Its environment cannot read Parquet: the columns lie there as arrays, which takes no time to read.
names = ("user_id", "item_id", "timestamp")
log = pd.DataFrame({name: np.load(Path(asked["folder"]) / f"{name}.npy") for name in names})
watch.lap("read")
log = five_core(log)
watch.lap("5-core")
log = log.rename(columns={"timestamp": Columns.Datetime})
log[Columns.Datetime] = pd.to_datetime(log[Columns.Datetime], unit="ms")
log[Columns.Weight] = 1
dataset = Dataset.construct(log)
splitter = LastNSplitter(
    n=1, filter_cold_users=False, filter_cold_items=False, filter_already_seen=False
)
train_rows, test_rows, _ = next(splitter.split(dataset.interactions))
preparator = SASRecDataPreparator(
    session_max_len=LENGTH,
    batch_size=BATCH,
    dataloader_num_workers=0,
    get_val_mask_func=leave_one_out_mask,
)
preparator.process_dataset_train(dataset.filter_interactions(train_rows))
watch.lap("split")
targets = sum(int((batch["y"] != 0).sum()) for batch in preparator.get_dataloader_train())
watch.lap("batches")

test = dataset.interactions.df.iloc[test_rows]
common.report(
    values={**watch.values(), "targets": targets},
    quality=quality(
        len(log),
        dataset.item_id_map.size,
        dataset.user_id_map.convert_to_external(test[Columns.User]),
        dataset.item_id_map.convert_to_external(test[Columns.Item]),
    ),
    versions=("rectools", "pandas", "numpy", "torch"),
)
