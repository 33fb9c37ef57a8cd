"""Ten item ids for one user id, by a pipeline of LensKit."""

from __future__ import annotations

import asking
import common
import numpy as np
import pandas as pd
from lenskit import operations
from lenskit.als import ImplicitMFScorer
from lenskit.data import from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer
from lenskit.pipeline import topn_pipeline

settings = common.settings()
offsets, item_rows, _ = common.load_sequences(settings["data"])
users = len(offsets) - 1
events = pd.DataFrame(
    {"user_id": np.repeat(np.arange(users), np.diff(offsets)), "item_id": item_rows}
)
scorers = {
    "als": lambda: ImplicitMFScorer(embedding_size=64, epochs=3),
    "itemknn": lambda: ItemKNNScorer(max_nbrs=100, feedback="implicit"),
    "ease": lambda: EASEScorer(regularization=500.0),
}
pipeline = topn_pipeline(scorers[settings["model"]](), n=10)
pipeline.train(from_interactions_df(events.drop_duplicates()))
asking.report_calls(
    lambda user: operations.recommend(pipeline, user, 10).ids().tolist(),
    settings,
    (offsets, item_rows),
    versions=("lenskit",),
)
