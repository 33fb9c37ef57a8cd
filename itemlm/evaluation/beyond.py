"""Beyond accuracy: what the lists do to the catalog and to the people who read them.

All figures are of the first k places. They have no good direction by themselves: random lists cover
the whole catalog and are very novel. Read them beside accuracy.

Sources     Vargas and Castells, RecSys 2011 (novelty as -log2 of popularity).
            Abdollahpouri et al., RMSE workshop 2019 (popularity lift).
            Steck, "Calibrated Recommendations", RecSys 2018 (calibration, by KL there).
Shapes      Q questions, K places, N items, C categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from itemlm.types import FloatArray, IntArray, QueryBatch

CATEGORY_COLUMNS = ("genres", "genre", "categories", "category", "tags", "topics")


@dataclass(frozen=True, kw_only=True, slots=True)
class Beyond:
    """Figures of the lists themselves, without the targets.

    Attributes:
        coverage: share of the catalog that is recommended to anyone.
        gini: inequality of exposure over the whole catalog; 0 all alike, 1 one item has it all.
        novelty: mean bits of surprise, -log2(training events of the item / all training events);
            items without an event count as having one.
        popularity_lift: mean popularity of recommended items / that of the histories' items, each
            a mean of per-question means. 1 means as popular as what people chose before; None
            without histories.
        intra_list_similarity: mean Jaccard similarity of the categories of two items of a list;
            None without categories.
        calibration: mean Jensen-Shannon divergence (base 2) between the categories of the history
            and of the list; 0 the same mixture, 1 nothing in common. None without categories.
    """

    coverage: float
    gini: float
    novelty: float
    popularity_lift: float | None
    intra_list_similarity: float | None
    calibration: float | None


@dataclass(frozen=True, kw_only=True)
class Categories:
    """Which categories each item has.

    Attributes:
        column: the catalog's column they come from.
        has_NC: sparse 0/1 matrix, with an empty row N for "no item" (row -1).
    """

    column: str
    has_NC: Any

    @property
    def share(self) -> float:
        """Share of the items that have a category."""
        return float(np.mean(np.diff(self.has_NC.indptr)[:-1] > 0))


def categories_of(catalog: pl.DataFrame) -> Categories | None:
    """The catalog's categories, from the first of its columns that holds some; None without one.

    That is a column named like a category, or else any other column of lists of text.
    """
    from scipy import sparse

    columns = [name for name in CATEGORY_COLUMNS if _holds_categories(catalog, name)]
    columns += [name for name, kind in catalog.schema.items() if kind == pl.List(pl.String)]
    if not columns:
        return None
    values = catalog[columns[0]].rename("value")
    pairs = pl.DataFrame({"row": np.arange(catalog.height), "value": values})
    if values.dtype == pl.List:
        pairs = pairs.explode("value")
    pairs = pairs.drop_nulls().unique(maintain_order=True)
    codes = pairs["value"].rank("dense").to_numpy().astype(np.int64) - 1
    shape = (catalog.height + 1, int(codes.max(initial=-1)) + 1)
    entries = (np.ones(len(codes)), (pairs["row"].to_numpy(), codes))
    return Categories(column=columns[0], has_NC=sparse.csr_matrix(entries, shape=shape))


def _holds_categories(catalog: pl.DataFrame, name: str) -> bool:
    return catalog.schema.get(name) in (pl.String, pl.List(pl.String), pl.List(pl.Int64))


class BeyondAccuracy:
    """Measures lists; what depends on the histories alone is computed once.

    Args:
        histories: what people did before.
        train_counts_N: events per item in the training part.
        categories: of the items, or None.
    """

    def __init__(
        self, histories: QueryBatch, train_counts_N: IntArray, categories: Categories | None
    ) -> None:
        self.categories = categories
        self.counts_N = train_counts_N
        length_Q = np.diff(histories.offsets)
        total_Q = np.bincount(
            histories.query_of_event,
            weights=train_counts_N[histories.item_rows],
            minlength=len(histories),
        )
        self.history_popularity_Q = np.divide(
            total_Q, length_Q, out=np.full(len(histories), np.nan), where=length_Q > 0
        )
        if categories is not None:
            self.history_tastes_QC = _tastes(histories.offsets, histories.item_rows, categories)

    def measure(self, lists_QK: IntArray) -> Beyond:
        """All figures of one recommender's lists."""
        real_QK = lists_QK >= 0
        exposure_N = np.bincount(lists_QK[real_QK], minlength=len(self.counts_N))
        probability_N = np.maximum(self.counts_N, 1) / max(int(self.counts_N.sum()), 1)
        asked = np.flatnonzero(real_QK.any(axis=1))
        novelty_Q = _list_means(-np.log2(probability_N), lists_QK[asked])
        return Beyond(
            coverage=float(np.mean(exposure_N > 0)),
            gini=gini(exposure_N),
            novelty=float(np.mean(novelty_Q)) if len(asked) else 0.0,
            popularity_lift=self._popularity_lift(lists_QK, asked),
            intra_list_similarity=self._intra_list_similarity(lists_QK),
            calibration=self._calibration(lists_QK),
        )

    def _popularity_lift(self, lists_QK: IntArray, asked: IntArray) -> float | None:
        asked = asked[~np.isnan(self.history_popularity_Q[asked])]
        before = float(self.history_popularity_Q[asked].sum())
        if before == 0:
            return None
        return float(_list_means(self.counts_N, lists_QK[asked]).sum()) / before

    def _intra_list_similarity(self, lists_QK: IntArray) -> float | None:
        if self.categories is None:
            return None
        places = [self.categories.has_NC[lists_QK[:, place]] for place in range(lists_QK.shape[1])]
        sizes = [np.diff(has_QC.indptr) for has_QC in places]
        total_Q = np.zeros(len(lists_QK))
        pairs_Q = np.zeros(len(lists_QK))
        for second in range(1, len(places)):
            for first in range(second):
                shared_Q = np.asarray(places[first].multiply(places[second]).sum(axis=1)).ravel()
                known_Q = (sizes[first] > 0) & (sizes[second] > 0)
                either_Q = np.maximum(sizes[first] + sizes[second] - shared_Q, 1)
                total_Q += shared_Q / either_Q
                pairs_Q += known_Q
        compared_Q = pairs_Q > 0
        if not compared_Q.any():
            return None
        return float(np.mean(total_Q[compared_Q] / pairs_Q[compared_Q]))

    def _calibration(self, lists_QK: IntArray) -> float | None:
        if self.categories is None:
            return None
        offsets = np.arange(0, lists_QK.size + 1, lists_QK.shape[1])
        list_tastes_QC = _tastes(offsets, lists_QK.ravel(), self.categories)
        known_Q = (np.diff(self.history_tastes_QC.indptr) > 0) & (
            np.diff(list_tastes_QC.indptr) > 0
        )
        if not known_Q.any():
            return None
        history, shown = self.history_tastes_QC[known_Q], list_tastes_QC[known_Q]
        divergence_Q = _entropy((history + shown) / 2) - (_entropy(history) + _entropy(shown)) / 2
        return float(np.mean(divergence_Q))


def gini(exposure_N: IntArray) -> float:
    """Gini coefficient: sum of (2 i - N - 1) x_i / (N sum of x), for x ascending and i from 1."""
    many, total = len(exposure_N), int(exposure_N.sum())
    if total == 0:
        return 0.0
    weights = 2 * np.arange(1, many + 1) - many - 1
    return float((weights * np.sort(exposure_N)).sum() / (many * total))


def _list_means(value_N: FloatArray | IntArray, lists_QK: IntArray) -> FloatArray:
    """[Q] mean value of the real items of each list, which must have one."""
    real_QK = lists_QK >= 0
    means_Q: FloatArray = (value_N[lists_QK] * real_QK).sum(axis=1) / real_QK.sum(axis=1)
    return means_Q


def _tastes(offsets: IntArray, item_rows: IntArray, categories: Categories) -> Any:
    """Sparse tastes_QC: each item spreads weight 1 over its categories; rows sum to 1 or 0."""
    from scipy import sparse

    has_NC = categories.has_NC
    spread_NC = _rows_to_one(has_NC)
    rows = np.where(item_rows < 0, has_NC.shape[0] - 1, item_rows)
    shape = (len(offsets) - 1, has_NC.shape[0])
    events_QN = sparse.csr_matrix((np.ones(len(rows)), rows, offsets), shape=shape)
    return _rows_to_one(events_QN @ spread_NC)


def _rows_to_one(matrix: Any) -> Any:
    from scipy import sparse

    totals = np.asarray(matrix.sum(axis=1)).ravel()
    return (sparse.diags(1 / np.where(totals > 0, totals, 1)) @ matrix).tocsr()


def _entropy(tastes_QC: Any) -> FloatArray:
    """[Q] bits of each row."""
    terms = tastes_QC.copy()
    terms.data = -terms.data * np.log2(terms.data)
    return np.asarray(terms.sum(axis=1)).ravel()
