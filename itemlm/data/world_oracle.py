"""The oracle of the demo world: ranks by the true probability of being watched next.

What a perfect recommender could know, and no more, is what the oracle knows: the law of the world,
the viewer's taste at this moment, and their history. No other ranking has a higher expected
Recall@k or NDCG@k, so a report can state any result as a share of the oracle's.

Shapes      B queries, T films of the longest history, K places, N films of the catalog, E entries.
"""

from __future__ import annotations

import numpy as np

from itemlm.data.world_law import FAME, MOOD, RECENCY, SERIES, TASTE, WHIM, Choices, Law
from itemlm.types import DataError, FloatArray, IntArray, QueryBatch

CELLS_PER_BLOCK = 8_000_000  # of the probability table that is in memory at a time


class Oracle:
    """Answers for the viewers of its own world, at the moment after the history in the query.

    Time is counted in films, so a history that was cut at its start is read as an earlier moment
    of the viewer's taste.
    """

    def __init__(self, law: Law) -> None:
        self._law = law

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k films most likely to be watched next, with their probabilities.

        Returns:
            rows_BK (best first, -1 where there are fewer than k) and scores_BK (-inf there).
            Films of the history have probability 0, and come last where they are not excluded.

        Raises:
            DataError: if a query does not say whose it is.
        """
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf)
        block = max(1, CELLS_PER_BLOCK // len(self._law.film_N))
        for start in range(0, len(batch), block):
            part = batch[start : start + block]
            scores_BN = self.probabilities(part)
            if part.exclude_seen:
                scores_BN[part.query_of_event, part.item_rows] = -np.inf
            if part.allowed_N is not None:
                scores_BN[:, ~part.allowed_N] = -np.inf
            if part.allowed_BN is not None:
                scores_BN[~part.allowed_BN] = -np.inf
            best_BK = _largest(scores_BN, k)
            found_BK = np.take_along_axis(scores_BN, best_BK, 1)
            here = slice(start, start + len(part)), slice(found_BK.shape[1])
            rows_BK[here] = np.where(np.isneginf(found_BK), -1, best_BK)
            scores_BK[here] = found_BK
        return rows_BK, scores_BK

    def probabilities(self, batch: QueryBatch) -> FloatArray:
        """[B, N] P(next film | viewer, history): rows sum to 1, films of the history have 0.

        Whether films are excluded or allowed does not change what viewers do, so it plays no part.

        Raises:
            DataError: if a query does not say whose it is.
        """
        law, viewers_B, films = self._law, batch.user_rows, len(self._law.film_N)
        if ((viewers_B < 0) | (viewers_B >= len(law.viewers.start_U))).any():
            raise DataError(
                "the oracle knows the viewers of its own world only; name one in every query, as "
                "in Query(user='viewer-0001', history=...), and make the batch with the dataset."
            )
        habits_BN = np.full((len(batch), films), WHIM / films)
        habits_BN += FAME * law.fame_C[law.country_N] * law.fame_R[law.film_N]
        self._add_taste(habits_BN, batch)
        self._add_recent(habits_BN, batch)
        habits_BN[batch.query_of_event, batch.item_rows] = 0
        habits_BN /= np.maximum(habits_BN.sum(1, keepdims=True), np.finfo(float).tiny)
        return habits_BN

    def _add_taste(self, habits_BN: FloatArray, batch: QueryBatch) -> None:
        viewers, viewers_B = self._law.viewers, batch.user_rows
        love_BS = viewers.taste(viewers_B, np.diff(batch.offsets))
        for place, love_B in enumerate(love_BS.T):
            shelf_B = viewers.shelf_US[viewers_B, place]
            country_B = viewers.country_US[viewers_B, place]
            self._add(habits_BN, TASTE * love_B, self._law.shelves, shelf_B, country_B)

    def _add_recent(self, habits_BN: FloatArray, batch: QueryBatch) -> None:
        law, lengths_B = self._law, np.diff(batch.offsets)
        history_BT, _ = batch.last_items(int(lengths_B.max(initial=1)), empty=-1)
        recent_2B = np.full((2, len(batch)), -1)
        for back, share in enumerate(RECENCY):
            exists_B = lengths_B > back
            recent_2B[back, exists_B] = batch.item_rows[(batch.offsets[1:] - 1 - back)[exists_B]]
            sequel_B = law.sequel(recent_2B[back], history_BT)
            goes_on = np.flatnonzero(sequel_B >= 0)
            pull = SERIES * share * law.pull_N[recent_2B[back, goes_on]]
            habits_BN[goes_on, sequel_B[goes_on]] += pull
        shelf_B, country_B = law.mood(*recent_2B)
        self._add(habits_BN, MOOD * (lengths_B >= 2), law.shelves, shelf_B, country_B)

    def _add(
        self,
        habits_BN: FloatArray,
        weight_B: FloatArray,
        choices: Choices,
        list_B: IntArray,
        country_B: IntArray,
    ) -> None:
        """Add to every query one list of films in one country, times its weight."""
        query_E, film_E, probability_E = choices.spread(list_B)
        row_E = self._law.row_CR[country_B[query_E], film_E]
        exists_E = row_E >= 0
        mass_E = weight_B[query_E] * probability_E
        np.add.at(habits_BN, (query_E[exists_E], row_E[exists_E]), mass_E[exists_E])


def _largest(scores_BN: FloatArray, k: int) -> IntArray:
    """[B, K] columns of the k largest scores (or all), best first."""
    k = min(k, scores_BN.shape[1])
    largest_BK = np.sort(np.argpartition(-scores_BN, k - 1)[:, :k])  # equal scores in row order
    order_BK = np.argsort(-np.take_along_axis(scores_BN, largest_BK, 1), kind="stable")
    return np.take_along_axis(largest_BK, order_BK, 1)
