"""One history of item ids in, ten item ids out, by one of our papers."""

from __future__ import annotations

import asking
import common
import numpy as np
import polars as pl

import itemlm

settings = common.settings()
offsets, item_rows, _ = common.load_sequences(settings["data"])
users = len(offsets) - 1
events = pl.DataFrame(
    {"user_id": np.repeat(np.arange(users), np.diff(offsets)), "item_id": item_rows}
).with_columns(timestamp=pl.int_range(pl.len()))
dataset = itemlm.Dataset.build(events, name="bench")

if settings["model"] == "sasrec":  # untrained: training would not change the time
    import torch

    from itemlm.papers.sequential.sasrec import Config, SASRec
    from itemlm.recommender import Catalog
    from itemlm.retrieve.dot import DotProduct

    torch.set_num_threads(settings["threads"])
    config = Config(length=50, width=64, blocks=2, heads=2, inner=64)
    model = SASRec(config, items=len(dataset.items))
    recommender = DotProduct("sasrec", model, Catalog.of(dataset), config, config.length)
else:
    recommender = itemlm.fit(settings["model"], dataset, quiet=True, **settings.get("config", {}))

histories = {user: dataset.query(user).history for user in asking.askers(settings, users)}
asking.report_calls(
    lambda user: recommender.recommend(histories[user], k=10).items,
    settings,
    (offsets, item_rows),
    versions=("itemlm",),
)
