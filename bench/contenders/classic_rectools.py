"""A classic model of RecTools: fitted, and asked for everyone's ten items."""

from __future__ import annotations

import common
import fitting
import numpy as np
import pandas as pd
import threadpoolctl
from implicit.nearest_neighbours import CosineRecommender
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitItemKNNWrapperModel

settings = common.settings()
offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users = len(targets_U)
events = pd.DataFrame(
    {
        "user_id": np.repeat(np.arange(users), np.diff(offsets)),
        "item_id": item_rows,
        "weight": 1.0,
        "datetime": pd.Timestamp("2000-01-01"),
    }
)
dataset = Dataset.construct(events.drop_duplicates(["user_id", "item_id"]))


def fitted() -> EASEModel | ImplicitItemKNNWrapperModel:
    if settings["model"] == "ease":
        model = EASEModel(regularization=settings["l2"], recommend_n_threads=settings["threads"])
    else:
        threadpoolctl.threadpool_limits(1, "blas")  # implicit's advice
        neighbors = CosineRecommender(K=settings["neighbors"], num_threads=settings["threads"])
        model = ImplicitItemKNNWrapperModel(neighbors)
    return model.fit(dataset)


def recommended(model: EASEModel | ImplicitItemKNNWrapperModel) -> pd.DataFrame:
    return model.recommend(users=np.arange(users), dataset=dataset, k=10, filter_viewed=True)


def lists(frame: pd.DataFrame) -> np.ndarray:
    lists_UK = np.full((users, 10), -1)
    lists_UK[frame["user_id"], frame["rank"] - 1] = frame["item_id"]
    return lists_UK


fitting.report_twice(fitted, recommended, targets_U, lists=lists, versions=("rectools", "numpy"))
