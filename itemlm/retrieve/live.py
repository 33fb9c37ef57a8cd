"""Live: a fitted recommender over a catalog that goes on changing.

A model knows the items that it was trained on. In a shop items arrive, leave and change every
minute, and training takes hours. So arrived items have stand-ins among the known ones, those whose
texts are most alike: in a history the closest stands in for an arrived item, and in a slate an
arrived item gets the score of its best stand-in, less the more they differ. Items that have left
are recommended to nobody, and filters see the fields as they are now. No weight is touched, so the
answers about known items stay what they were.

Shapes      B queries, K places, N items of which the first are known and A arrived, M stand-ins of
            an arrived item, E events, S stand-ins of all arrived items, C of them asked for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from itemlm.order import distinct
from itemlm.recommender import Catalog, Recommender
from itemlm.types import ArtifactError, BoolArray, DataError, FloatArray, IntArray, QueryBatch

ASKED_FOR = 100  # best stand-ins of a query whose arrived items compete; others have no chance


class Live(Recommender):
    """A recommender with arrived and removed items.

    Args:
        base: the fitted recommender.
        catalog: the known items in the base's order, with their fields of now, then the arrived.
        stand_ins_AM: known items that are most like each arrived one, best first; -1 for none.
        similarity_AM: cosines of their texts.
        removed_N: items that may not be recommended.

    Raises:
        DataError: if the parts do not fit together.
    """

    def __init__(
        self,
        base: Recommender,
        catalog: Catalog,
        stand_ins_AM: IntArray,
        similarity_AM: FloatArray,
        removed_N: BoolArray,
    ) -> None:
        known = len(base.catalog)
        if len(catalog) != known + len(stand_ins_AM) or len(removed_N) != len(catalog):
            raise DataError(
                f"{known} known and {len(stand_ins_AM)} arrived items do not make a catalog of "
                f"{len(catalog)}, of which {len(removed_N)} may be removed."
            )
        super().__init__(catalog, base.config)
        self.paper = base.paper  # type: ignore[misc]
        self.reads_text = base.reads_text  # type: ignore[misc]
        self.card, self.users = base.card, base.users
        self.base, self.known = base, known
        self.stand_ins_AM, self.similarity_AM = stand_ins_AM, similarity_AM
        self.removed_N = removed_N if removed_N.any() else None

    @classmethod
    def of(cls, base: Recommender) -> Live:
        """Without any change yet."""
        none_AM = np.empty((0, 1), dtype=np.int64)
        removed_N = np.zeros(len(base.catalog), dtype=bool)
        return cls(base, base.catalog, none_AM, none_AM.astype(np.float32), removed_N)

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query, arrived ones among them."""
        if self.removed_N is not None:
            allowed_N = ~self.removed_N if batch.allowed_N is None else batch.allowed_N
            batch = replace(batch, allowed_N=allowed_N & ~self.removed_N)
        if len(self.catalog) == self.known:
            return self.base.topk(batch, k)
        known = self._read_by_the_model(batch)
        shown = self._hiding_the_seen(batch, known)
        slate = self.base.topk(shown, k)
        arrived_BA = self._scores_of_arrived(batch, known, shown, slate)
        return _merged(*slate, arrived_BA, self.known, k)

    def _read_by_the_model(self, batch: QueryBatch) -> QueryBatch:
        """The same queries with stand-ins for arrived items, and filters over known items only."""
        row_E, is_new_E = batch.item_rows, batch.item_rows >= self.known
        if is_new_E.any():
            row_E = row_E.copy()
            row_E[is_new_E] = self.stand_ins_AM[row_E[is_new_E] - self.known, 0]
        keep_E = row_E >= 0
        count_B = np.bincount(batch.query_of_event[keep_E], minlength=len(batch))
        return replace(
            batch,
            offsets=np.concatenate([[0], np.cumsum(count_B)]),
            item_rows=row_E[keep_E],
            allowed_N=None if batch.allowed_N is None else batch.allowed_N[: self.known],
            allowed_BN=None if batch.allowed_BN is None else batch.allowed_BN[:, : self.known],
        )

    def _hiding_the_seen(self, batch: QueryBatch, known: QueryBatch) -> QueryBatch:
        """A stand-in in a history must not hide the item itself, which its owner may not know."""
        is_known_E = batch.item_rows < self.known
        if not batch.exclude_seen or is_known_E.all():
            return known
        allowed_BN = np.ones((len(batch), self.known), dtype=bool)
        if known.allowed_BN is not None:
            allowed_BN &= known.allowed_BN
        allowed_BN[batch.query_of_event[is_known_E], batch.item_rows[is_known_E]] = False
        return replace(known, exclude_seen=False, allowed_BN=allowed_BN)

    def _scores_of_arrived(
        self,
        batch: QueryBatch,
        known: QueryBatch,
        shown: QueryBatch,
        slate: tuple[IntArray, FloatArray],
    ) -> FloatArray:
        """[B, A] -inf where an arrived item may not be recommended or nothing stands in for it.

        The score of the best stand-in is lowered by the share (1 - cosine) of the distance between
        the best and the worst score of the slate, so that it means the same for every model.
        """
        arrived = len(self.catalog) - self.known
        allowed_BA = np.ones((len(batch), arrived), dtype=bool)
        if batch.allowed_N is not None:
            allowed_BA &= batch.allowed_N[self.known :]
        if batch.allowed_BN is not None:
            allowed_BA &= batch.allowed_BN[:, self.known :]
        out_BA = np.full(allowed_BA.shape, -np.inf, dtype=np.float32)
        stand_in_S = distinct(self.stand_ins_AM[allowed_BA.any(axis=0)].ravel())
        stand_in_S = stand_in_S[stand_in_S >= 0]
        if not len(stand_in_S):
            return out_BA
        asked = self._for_stand_ins(known, stand_in_S, allowed_BA)
        most = max(ASKED_FOR, slate[0].shape[1])
        of_stand_ins = self.base.topk(asked, min(most, len(stand_in_S)))
        score_BS = _stand_in_scores(stand_in_S, of_stand_ins, shown, slate)
        finite_BX = np.concatenate([slate[1], score_BS], axis=1)
        finite_BX = np.where(np.isfinite(finite_BX), finite_BX, np.nan)
        spread_B = np.zeros(len(batch), dtype=np.float32)
        some_B = np.isfinite(finite_BX).any(axis=1)
        spread_B[some_B] = np.nanmax(finite_BX[some_B], axis=1) - np.nanmin(
            finite_BX[some_B], axis=1
        )
        # Where there is no stand-in, the similarity says nothing: it may be infinite.
        loss_AM = np.where(self.stand_ins_AM < 0, 0, np.clip(1 - self.similarity_AM, 0, None))
        loss_AM = loss_AM.astype(np.float32)
        place_AM = np.searchsorted(stand_in_S, self.stand_ins_AM)
        place_AM[~np.isin(self.stand_ins_AM, stand_in_S)] = -1
        for place in range(place_AM.shape[1]):
            score_BA = score_BS[:, place_AM[:, place]]
            np.maximum(out_BA, score_BA - spread_B[:, None] * loss_AM[:, place], out=out_BA)
        if batch.exclude_seen:
            is_new_E = batch.item_rows >= self.known
            seen_E = batch.item_rows[is_new_E] - self.known
            allowed_BA[batch.query_of_event[is_new_E], seen_E] = False
        out_BA[~allowed_BA] = -np.inf
        return out_BA

    def _for_stand_ins(
        self, known: QueryBatch, stand_in_S: IntArray, allowed_BA: BoolArray
    ) -> QueryBatch:
        """The queries, for the stand-ins of those arrived items that each may be recommended."""
        may_stand_in_N = np.zeros(self.known, dtype=bool)
        may_stand_in_N[stand_in_S] = True
        own_BN = None
        if known.allowed_BN is not None:
            own_BN = np.zeros(known.allowed_BN.shape, dtype=bool)
            for own_N, allowed_A in zip(own_BN, allowed_BA, strict=True):
                rows = self.stand_ins_AM[allowed_A].ravel()
                own_N[rows[rows >= 0]] = True
        return replace(known, exclude_seen=False, allowed_N=may_stand_in_N, allowed_BN=own_BN)

    @property
    def parameters(self) -> int:
        """Those of the fitted recommender."""
        return self.base.parameters

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What the fitted recommender learned."""
        return self.base.state()

    def save(self, path: str | Path) -> NoReturn:
        """Not possible: arrived items are no part of a model.

        Raises:
            ArtifactError: always.
        """
        raise ArtifactError("a live catalog is kept by its service; save `base`, the model, alone.")


def _stand_in_scores(
    stand_in_S: IntArray,
    found: tuple[IntArray, FloatArray],
    shown: QueryBatch,
    slate: tuple[IntArray, FloatArray],
) -> FloatArray:
    """[B, S + 1] scores of stand-ins, and -inf in one place more, for items without any.

    Some models score an item by what else may be recommended, so what the slate says of an item
    comes before what was said of stand-ins among themselves. One that could be in the slate and is
    not is no better than the slate's last.

    Args:
        stand_in_S: ascending rows.
        found: rows_BC and scores_BC of the stand-ins asked for alone.
        shown: the queries that the slate answers.
        slate: its rows_BK and scores_BK.
    """
    queries = len(shown)
    score_BS = np.full((queries, len(stand_in_S) + 1), -np.inf, dtype=np.float32)
    row_BS = np.broadcast_to(stand_in_S, (queries, len(stand_in_S)))
    may_be_BS = np.ones(row_BS.shape, dtype=bool)
    if shown.allowed_N is not None:
        may_be_BS &= shown.allowed_N[stand_in_S]
    if shown.allowed_BN is not None:
        may_be_BS &= shown.allowed_BN[:, stand_in_S]
    if shown.exclude_seen:
        query_BS = np.broadcast_to(np.arange(queries)[:, None], row_BS.shape)
        may_be_BS &= ~shown.holds(query_BS, row_BS)
    worst_B1 = np.where(np.isfinite(slate[1][:, -1:]), slate[1][:, -1:], np.inf)
    _write(score_BS, stand_in_S, *found)
    score_BS[:, :-1] = np.minimum(score_BS[:, :-1], np.where(may_be_BS, worst_B1, np.inf))
    _write(score_BS, stand_in_S, *slate)
    return score_BS


def _write(
    score_BS: FloatArray, stand_in_S: IntArray, rows_BX: IntArray, scores_BX: FloatArray
) -> None:
    """Write scores of rows to their places among stand-ins; others go to the last, to be lost."""
    place_BX = np.minimum(np.searchsorted(stand_in_S, rows_BX), len(stand_in_S) - 1)
    place_BX = np.where(stand_in_S[place_BX] == rows_BX, place_BX, -1)
    np.put_along_axis(score_BS, place_BX, scores_BX, axis=1)
    score_BS[:, -1] = -np.inf


def _merged(
    rows_BK: IntArray, scores_BK: FloatArray, arrived_BA: FloatArray, known: int, k: int
) -> tuple[IntArray, FloatArray]:
    """The best k of known and arrived items; at equal scores the known ones first."""
    best = min(k, arrived_BA.shape[1])
    place_BA = np.argsort(-arrived_BA, axis=1, kind="stable")[:, :best]
    scores_BX = np.concatenate(
        [scores_BK, np.take_along_axis(arrived_BA, place_BA, axis=1)], axis=1
    )
    rows_BX = np.concatenate([rows_BK, place_BA + known], axis=1)
    order_BK = np.argsort(-scores_BX, axis=1, kind="stable")[:, :k]
    scores_BK = np.take_along_axis(scores_BX, order_BK, axis=1)
    rows_BK = np.take_along_axis(rows_BX, order_BK, axis=1)
    rows_BK[np.isneginf(scores_BK)] = -1
    return rows_BK, scores_BK
