"""SASRecModel of RecTools."""

from __future__ import annotations

import logging
import warnings

import common
import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from steps import Clock, load, report

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
settings = common.settings()
torch.set_num_threads(settings["threads"])
lightning.seed_everything(0)
offsets, item_rows, targets_U = load(settings)
users = len(targets_U)
dataset = Dataset.construct(
    pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(users), np.diff(offsets)),
            "item_id": item_rows,
            "weight": 1.0,
            "datetime": pd.to_datetime(np.arange(len(item_rows)), unit="s"),
        }
    )
)
clock = Clock(settings)


class Ticking(lightning.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, place):
        clock.step(int((batch["y"] != 0).sum()))
        trainer.should_stop = clock.is_done

    def __deepcopy__(self, memo):
        return self  # the model copies its trainer, but there is one clock


def trainer() -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=settings["epochs"] or 1000,
        min_epochs=settings["epochs"] or None,
        callbacks=[Ticking()],
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


model = SASRecModel(
    n_blocks=2,
    n_heads=settings["heads"],
    n_factors=64,
    session_max_len=settings["length"],
    dropout_rate=0.2,
    loss="softmax" if settings["loss"] == "softmax" else "BCE",
    n_negatives=1,
    batch_size=128,
    lr=1e-3,
    get_trainer_func=trainer,
    recommend_torch_device="cpu",
)
model.fit(dataset)
lists = None
if settings["epochs"]:
    found = model.recommend(users=np.arange(users), dataset=dataset, k=10, filter_viewed=True)
    lists = np.full((users, 10), -1)
    lists[found["user_id"], found["rank"] - 1] = found["item_id"]
report(clock, lists, targets_U, versions=("rectools", "torch"))
