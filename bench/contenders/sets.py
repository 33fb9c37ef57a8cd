"""What both contenders of `set_decoding` share: a catalog, questions, and the clock."""

from __future__ import annotations

import statistics

import common
import numpy as np
import polars as pl
import torch

from itemlm.recommender import Catalog, Recommender
from itemlm.types import QueryBatch

LENGTH, PLACES = 20, 10
asked = common.settings()
torch.set_num_threads(asked["threads"])
torch.manual_seed(1)
catalog = Catalog(pl.DataFrame({"item_id": range(asked["items"])}))


def race(recommender: Recommender) -> None:
    """Time the answers and report."""
    users = asked["users"]
    questions = QueryBatch(
        offsets=np.arange(users + 1) * LENGTH,
        item_rows=np.random.default_rng(1).integers(asked["items"], size=users * LENGTH),
        user_rows=np.full(users, -1),
    )
    times = common.seconds(lambda: recommender.topk(questions, PLACES), asked["repeats"], warm_up=2)
    took = statistics.median(times)
    common.report(
        values={"ms/batch": 1e3 * took, "users/s": users / took},
        versions=("torch",),
    )
