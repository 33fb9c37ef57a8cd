"""An untrained SASRec over real histories: lists of ten for everyone, and their metrics."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import common
import numpy as np
import polars as pl
import torch

import itemlm
from itemlm.data.splits import LeaveOneOut
from itemlm.evaluation.metrics import Targets, hits, ndcg, places, recall
from itemlm.papers.sequential.sasrec import Config, SASRec
from itemlm.recommender import Catalog
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import SequenceBatch

CHECKED = 300  # users whose lists are compared with a full sort

settings = common.settings()
torch.manual_seed(0)
torch.set_num_threads(settings["threads"])

# 1. The same events as for everyone: the target is the last one.
offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users, last_U = len(targets_U), offsets[1:]
user_E = np.repeat(np.arange(users), np.diff(offsets))
events = pl.DataFrame(
    {
        "user_id": np.insert(user_E, last_U, np.arange(users)),
        "item_id": np.insert(item_rows, last_U, targets_U),
    }
).with_columns(timestamp=pl.int_range(pl.len()))
dataset = itemlm.Dataset.build(events, name="bench")
split = dataset.split(LeaveOneOut(ties="as_given"))
test = split.test

# 2. A model of the same size as everyone's.
config = Config(length=settings["length"], width=64, blocks=2, heads=2, inner=64)
model = SASRec(config, items=len(dataset.items))
recommender = DotProduct("sasrec", model, Catalog.of(dataset), config, config.length)
queries = replace(test.queries, exclude_seen=True)


def lists_and_metrics() -> dict[str, Any]:
    """What the figure is about."""
    lists_QK, _ = recommender.topk(queries, 10)
    targets = Targets.of(test)
    hits_QK = hits(places(lists_QK, targets), targets, 10)
    figures = {
        "Recall@10": float(recall(hits_QK, targets.count_Q).mean()),
        "NDCG@10": float(ndcg(hits_QK, targets.count_Q).mean()),
    }
    return {"lists": lists_QK, "figures": figures}


def whole_report() -> Any:
    """The same and more: intervals, slices, figures beyond accuracy, latency."""
    return itemlm.evaluate({"sasrec": recommender}, test, catalog=dataset.catalog)


@torch.inference_mode()
def agreement() -> float:
    """Share of the checked users whose list is that of a full sort of all scores."""
    same = 0
    lists_QK = recommender.topk(queries, 10)[0]
    for q in range(CHECKED):
        history = queries[q : q + 1].item_rows.astype(np.int64)
        read_1T = torch.from_numpy(history[-config.length :])[None]
        batch = SequenceBatch(
            read_1T, torch.tensor([read_1T.shape[1]]), torch.full_like(read_1T, -1)
        )
        score_N = (model(batch)[0, -1] @ model.item_vectors().T).numpy()
        score_N[history] = -np.inf
        same += lists_QK[q].tolist() == np.argsort(-score_N)[:10].tolist()
    return same / CHECKED


job = whole_report if settings.get("whole") else lists_and_metrics
times = common.seconds(job, repeats=3, warm_up=1)
common.report(
    values={"seconds": statistics.median(times)},
    quality={
        "users": str(len(test)),
        "items": str(len(dataset.items)),
        "as by full sort": agreement(),
        **lists_and_metrics()["figures"],
    },
    versions=("itemlm", "torch", "numpy"),
)
