"""Ten item ids for one user id, by a model of RecTools."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import asking
import common
import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import threadpoolctl
from implicit.als import AlternatingLeastSquares
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitALSWrapperModel, SASRecModel

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
settings = common.settings()
offsets, item_rows, _ = common.load_sequences(settings["data"])
users = len(offsets) - 1
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


if settings["model"] == "sasrec":  # after one batch: more training would not change the time
    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=64,
        session_max_len=50,
        loss="BCE",
        epochs=1,
        get_trainer_func=trainer,
        recommend_torch_device="cpu",
    )
elif settings["model"] == "ease":
    model = EASEModel(regularization=500)
else:
    threadpoolctl.threadpool_limits(1, "blas")
    model = ImplicitALSWrapperModel(
        AlternatingLeastSquares(factors=64, iterations=3, random_state=0, use_gpu=False)
    )
model.fit(dataset)


def answer(user: int) -> list[int]:
    lists = model.recommend(users=np.array([user]), dataset=dataset, k=10, filter_viewed=True)
    return lists["item_id"].tolist()


asking.report_calls(answer, settings, (offsets, item_rows), versions=("rectools",))
