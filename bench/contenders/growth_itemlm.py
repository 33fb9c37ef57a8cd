"""SASRec at one size: an epoch of training, or the top-10 of all users."""

from __future__ import annotations

import common
import numpy as np

import itemlm
from itemlm.data.sequences import Sequences
from itemlm.objectives.softmax import softmax
from itemlm.papers.sequential.sasrec import Config, SASRec
from itemlm.recommender import Catalog
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import NextItems
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import QueryBatch

asked = common.settings()
size = {name: asked[name] for name in ("users", "items", "length")}
size[asked["axis"]] *= asked["times"]
users, items, length = size["users"], size["items"], size["length"]

# Viewers' diaries one after another, cut anew into histories of exactly length + 1 events.
needed = users * (length + 1)
rows = itemlm.world(users=needed // 20 + users // 10, items=items).dataset.sequences.item_rows
rows = np.resize(rows, needed)
offsets = np.arange(users + 1) * (length + 1)

config = Config(length=length, dropout=0.2)
model = SASRec(config, items)
if asked["job"] == "training":
    examples = NextItems(
        Sequences(offsets=offsets, item_rows=rows, timestamps=None, values=None),
        padding=items,
        length=length,
        batch_size=config.batch_size,
        seed=0,
    )
    run = Run(quiet=True)
    run.train(model, softmax(), examples, AdamW(learning_rate=1e-3), epochs=2)
    seconds = run.history[1]["seconds"] - run.history[0]["seconds"]
else:
    catalog = Catalog(itemlm.world(users=1, items=items).dataset.catalog)
    recommender = DotProduct("sasrec", model, catalog, config, length)
    questions = QueryBatch(offsets=offsets, item_rows=rows, user_rows=np.arange(users))
    seconds = min(common.seconds(lambda: recommender.topk(questions, 10), repeats=3, warm_up=1))
common.report(values={"seconds": seconds}, versions=("itemlm", "torch"))
