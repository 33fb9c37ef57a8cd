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


def ndcg_of_reranking(
    reranker: TopK, retriever: TopK, held_out: HeldOut, candidates: int
) -> dict[str, float]:
    """NDCG@10 of both: on all questions, and on those whose target is among the candidates.

    A reranker cannot win anything on the others, and figures on some questions look better than
    they are where the others are not told.

    Args:
        reranker: orders the retriever's first `candidates` items anew.
        retriever: of the candidates.
        held_out: questions.
        candidates: how many.

    Returns:
        "share" of the questions whose target is among the candidates, "reranker" and "retriever"
        on those, "reranker, all" and "retriever, all".
    """
    targets, k = Targets.of(held_out), max(10, candidates)
    place_P = places(retriever.topk(held_out.queries, k)[0], targets)
    among_Q = hits(place_P, targets, candidates).any(axis=1)
    told = {"share": float(among_Q.mean())}
    asked = {"reranker": places(reranker.topk(held_out.queries, k)[0], targets)}
    for name, found_P in {**asked, "retriever": place_P}.items():
        ndcg_Q = ndcg(hits(found_P, targets, 10), targets.count_Q)
        told[name] = float(ndcg_Q[among_Q].mean()) if among_Q.any() else 0.0
        told[f"{name}, all"] = float(ndcg_Q.mean())
    return told
