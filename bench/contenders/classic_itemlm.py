"""A classic model of itemlm: fitted, and asked for everyone's ten items."""

from __future__ import annotations

import common
import fitting
import numpy as np
import polars as pl

import itemlm
from itemlm import papers
from itemlm.types import QueryBatch

settings = common.settings()
offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users, items = len(targets_U), 1 + int(max(item_rows.max(), targets_U.max()))

user_E = np.repeat(np.arange(users), np.diff(offsets))
dataset = itemlm.Dataset.build(
    pl.DataFrame({"user_id": user_E, "item_id": item_rows}),
    pl.DataFrame({"item_id": np.arange(items)}),
    name="bench",
)
paper = papers.get(settings["model"])
if settings["model"] == "ease":
    config = paper.Config(l2=settings["l2"])
elif settings["model"] == "itemknn":
    config = paper.Config(
        window=None,
        source_power=0.5,
        target_power=0.5,
        last=None,
        recency=1.0,
        neighbors=settings["neighbors"],
    )
else:
    names = ("width", "iterations", "unobserved", "l2")
    config = paper.Config(**{name: settings[name] for name in names})
everyone = QueryBatch(offsets=offsets, item_rows=item_rows, user_rows=np.arange(users))

fitting.report_twice(
    lambda: paper.fit(dataset, config, None),
    lambda model: model.topk(everyone, 10)[0],
    targets_U,
    versions=("itemlm", "numpy"),
)
