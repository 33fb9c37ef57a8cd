"""The one number that decides which epoch is best: NDCG@10 on the validation questions."""

from __future__ import annotations

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.evaluation.metrics import Targets, hits, ndcg, places
from itemlm.types import TopK

BATCH = 1024


def ndcg_at_10(recommender: TopK, held_out: HeldOut) -> float:
    """Mean NDCG@10 over the questions, seen items masked."""
    queries = held_out.queries
    lists_QK = np.concatenate(
        [
            recommender.topk(queries[start : start + BATCH], 10)[0]
            for start in range(0, len(queries), BATCH)
        ]
    )
    targets = Targets.of(held_out)
    found_P = places(lists_QK, targets)
    return float(ndcg(hits(found_P, targets, 10), targets.count_Q).mean())
