"""RecBole: its own reading, 5-core, leave-one-out, augmentation and batches of prefixes."""

from __future__ import annotations

import sys

import common
from data_shared import BATCH, CORE, LENGTH, Stopwatch, quality

asked = common.settings()
sys.argv = sys.argv[:1]  # RecBole reads the command line as well

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402

config = Config(
    model="SASRec",
    dataset="events",
    config_dict={
        "data_path": asked["folder"],
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "user_inter_num_interval": f"[{CORE},inf)",
        "item_inter_num_interval": f"[{CORE},inf)",
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "train_batch_size": BATCH,
        "train_neg_sample_args": None,
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "order": "TO",
            "mode": "full",
            "group_by": "user",
        },
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
        "worker": 0,
    },
)
watch = Stopwatch(asked["events"])
dataset = create_dataset(config)
watch.lap("read and 5-core")
events = len(dataset.inter_feat)
train, _, test = data_preparation(config, dataset)
watch.lap("split")
targets = sum(len(batch) for batch in train)
watch.lap("batches")

answers = test.dataset.inter_feat
common.report(
    values={**watch.values(), "targets": targets},
    quality=quality(
        events,
        dataset.item_num - 1,
        dataset.id2token("user_id", answers["user_id"].numpy()),
        dataset.id2token("item_id", answers["item_id"].numpy()),
    ),
    versions=("recbole", "pandas", "numpy", "torch"),
)
