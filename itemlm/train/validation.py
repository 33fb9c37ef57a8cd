"""The one number that decides which epoch is best: NDCG@10 on the validation questions."""

from __future__ import annotations

import numpy as np

from itemlm.data.splits import HeldOut
from itemlm.types import TopK

BATCH = 1024


def ndcg_at_10(recommender: TopK, held_out: HeldOut) -> float:
    """Mean NDCG@10 over the questions, seen items masked."""
    total = 0.0
    discount_K = 1 / np.log2(np.arange(2, 12))
    ideal_by_count = np.concatenate([[np.inf], np.cumsum(discount_K)])
    offsets, targets = held_out.target_offsets, held_out.target_rows
    for start in range(0, len(held_out), BATCH):
        rows_BK, _ = recommender.topk(held_out.queries[start : start + BATCH], 10)
        stop = start + len(rows_BK)
        question_M = np.repeat(np.arange(stop - start), np.diff(offsets[start : stop + 1]))
        targets_M = targets[offsets[start] : offsets[stop]]
        hits_MK = rows_BK[question_M] == targets_M[:, None]
        gain_B = np.bincount(question_M, hits_MK @ discount_K, minlength=stop - start)
        counts_B = np.minimum(np.diff(offsets[start : stop + 1]), 10)
        total += float((gain_B / ideal_by_count[counts_B]).sum())
    return total / len(held_out)
