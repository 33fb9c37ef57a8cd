"""SASRec of RecTools after one batch of training: recommend to everyone, then its metrics."""

from __future__ import annotations

import logging
import statistics
from typing import Any

import common
import numpy as np
import pandas as pd
import pytorch_lightning as lightning
from rectools.dataset import Dataset
from rectools.metrics import NDCG, Recall, calc_metrics
from rectools.models import SASRecModel

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
settings = common.settings()

offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users = len(targets_U)
train = pd.DataFrame(
    {
        "user_id": np.repeat(np.arange(users), np.diff(offsets)),
        "item_id": item_rows,
        "weight": 1.0,
        "datetime": pd.to_datetime(np.arange(len(item_rows)), unit="s"),
    }
)
test = pd.DataFrame({"user_id": np.arange(users), "item_id": targets_U})
dataset = Dataset.construct(train)


def trainer() -> Any:
    return lightning.Trainer(
        max_epochs=1,
        limit_train_batches=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        accelerator="cpu",
        devices=1,
    )


model = SASRecModel(
    n_blocks=2,
    n_heads=2,
    n_factors=64,
    session_max_len=settings["length"],
    epochs=1,
    get_trainer_func=trainer,
    recommend_torch_device="cpu",
)
model.fit(dataset)
metrics = {"Recall@10": Recall(10), "NDCG@10": NDCG(10, divide_by_achievable=True)}


def lists_and_metrics() -> dict[str, float]:
    lists = model.recommend(users=test["user_id"].values, dataset=dataset, k=10, filter_viewed=True)
    return {name: float(value) for name, value in calc_metrics(metrics, lists, test, train).items()}


times = common.seconds(lists_and_metrics, repeats=3, warm_up=1)
common.report(
    values={"seconds": statistics.median(times)},
    quality={"users": str(users), "items": str(train["item_id"].nunique()), **lists_and_metrics()},
    versions=("rectools", "torch"),
)
