"""An untrained SasRec of RePlay with its filter of seen items.

By default its quickest way: metrics in the validation loop. With `frames`, lists of everyone as a
pandas frame, and metrics of that.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
from pathlib import Path

import common
import lightning
import numpy as np
import pandas as pd
import torch
from replay.data import FeatureHint, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorSchema
from replay.metrics import NDCG, OfflineMetrics, Recall
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import ComputeMetricsCallback, PandasTopItemsCallback
from replay.nn.lightning.postprocessor import SeenItemsFilter
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
settings = common.settings()
torch.set_num_threads(settings["threads"])

offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users, items = len(targets_U), int(max(item_rows.max(), targets_U.max())) + 1
histories = [item_rows[offsets[u] : offsets[u + 1]] for u in range(users)]
longest, length = int(np.diff(offsets).max()), settings["length"]
schema = TensorSchema(
    [
        TensorFeatureInfo(
            name="item_id",
            is_seq=True,
            padding_value=items,
            cardinality=items,
            embedding_dim=64,
            feature_type=FeatureType.CATEGORICAL,
            feature_hint=FeatureHint.ITEM_ID,
        )
    ]
)
columns = {
    "user_id": {},
    "item_id": {"shape": length, "padding": items},
    "seen_ids": {"shape": longest, "padding": -1},
    "ground_truth": {"shape": 1, "padding": -1},
}
torch.manual_seed(0)
model = LightningModule(
    SasRec.from_params(
        schema=schema,
        embedding_dim=64,
        max_sequence_length=length,
        num_heads=2,
        num_blocks=2,
        dropout=0.2,
    )
)
model.eval()
unseen = SeenItemsFilter(item_count=items, seen_items_column="seen_ids")
quiet = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "accelerator": "cpu",
    "inference_mode": True,
}

with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "questions.parquet")
    pd.DataFrame(
        {
            "user_id": np.arange(users),
            "item_id": histories,
            "seen_ids": histories,
            "ground_truth": [[target] for target in targets_U.tolist()],
        }
    ).to_parquet(path)
    truth = pd.DataFrame({"user_id": np.arange(users), "item_id": targets_U})
    stage = "predict" if settings.get("frames") else "validate"
    data = ParquetModule(
        batch_size=settings["batch"],
        metadata={stage: columns},
        transforms={stage: make_default_sasrec_transforms(schema)[stage]},
        **{f"{stage}_path": path},
    )

    def in_the_loop() -> dict[str, float]:
        found = ComputeMetricsCallback(
            metrics=["recall", "ndcg"], ks=[10], postprocessors=[unseen], verbose=False
        )
        lightning.Trainer(callbacks=[found], **quiet).validate(
            model, datamodule=data, verbose=False
        )
        return next(iter(found.get_metrics().values()))

    def by_frames() -> dict[str, float]:
        lists = PandasTopItemsCallback(
            top_k=10,
            query_column="user_id",
            item_column="item_id",
            rating_column="score",
            postprocessors=[unseen],
        )
        lightning.Trainer(callbacks=[lists], **quiet).predict(
            model, datamodule=data, return_predictions=False
        )
        metrics = OfflineMetrics(
            [Recall(10), NDCG(10)],
            query_column="user_id",
            item_column="item_id",
            rating_column="score",
        )
        return metrics(lists.get_result(), truth)

    job = by_frames if settings.get("frames") else in_the_loop
    times = common.seconds(job, repeats=3, warm_up=1)
    figures = {name.lower(): float(value) for name, value in job().items()}

common.report(
    values={"seconds": statistics.median(times)},
    quality={
        "users": str(users),
        "items": str(items),
        "Recall@10": figures["recall@10"],
        "NDCG@10": figures["ndcg@10"],
    },
    versions=("replay-rec", "torch", "lightning"),
)
