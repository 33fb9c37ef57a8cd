"""Beyond accuracy: what the lists do to the catalog and to the people who read them.

All figures are of the first k places. They have no good direction by themselves: random lists cover
the whole catalog and are very novel. Read them beside accuracy.

Sources     Vargas and Castells, RecSys 2011 (novelty as -log2 of popularity).
            Abdollahpouri et al., RMSE workshop 2019 (popularity lift).
            Steck, "Calibrated Recommendations", RecSys 2018 (calibration, by KL there).
Shapes      Q questions, K places, N items, C categories; b questions of a block, L categories that
            one list has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from itemlm.sparse import CSR, sum_by_key, terms, terms_in_blocks
from itemlm.types import FloatArray, IntArray, QueryBatch

CATEGORY_COLUMNS = ("genres", "genre", "categories", "category", "tags", "topics")
LISTS_AT_A_TIME = 64  # lists whose items are compared with each other together; bounds memory


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
        has_NC: 1 where an item has a category, with an empty row N for "no item" (row -1).
    """

    column: str
    has_NC: CSR

    @property
    def share(self) -> float:
        """Share of the items that have a category."""
        return float(np.mean(self.has_NC.sizes[:-1] > 0))


def categories_of(catalog: pl.DataFrame) -> Categories | None:
    """The catalog's categories, from the first of its columns that holds some; None without one.

    That is a column named like a category, or else any other column of lists of text.
    """
    columns = [name for name in CATEGORY_COLUMNS if _holds_categories(catalog, name)]
    columns += [name for name, kind in catalog.schema.items() if kind == pl.List(pl.String)]
    if not columns:
        return None
    values = catalog[columns[0]].rename("value")
    pairs = pl.DataFrame({"row": np.arange(catalog.height), "value": values})
    if values.dtype == pl.List:
        pairs = pairs.explode("value")
    pairs = pairs.drop_nulls()
    codes = pairs["value"].rank("dense").to_numpy().astype(np.int64) - 1
    shape = (catalog.height + 1, int(codes.max(initial=-1)) + 1)
    has_NC = CSR.distinct(pairs["row"].to_numpy(), codes, shape)
    return Categories(column=columns[0], has_NC=has_NC)


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
        starts = range(0, len(lists_QK), LISTS_AT_A_TIME)
        blocks = [lists_QK[start : start + LISTS_AT_A_TIME] for start in starts]
        found = [_list_similarity(lists_bK, self.categories) for lists_bK in blocks]
        similar_Q = np.concatenate([np.empty(0), *found])
        compared_Q = ~np.isnan(similar_Q)
        return float(np.mean(similar_Q[compared_Q])) if compared_Q.any() else None

    def _calibration(self, lists_QK: IntArray) -> float | None:
        if self.categories is None:
            return None
        offsets = np.arange(0, lists_QK.size + 1, lists_QK.shape[1])
        list_tastes_QC = _tastes(offsets, lists_QK.ravel(), self.categories)
        known_Q = (self.history_tastes_QC.sizes > 0) & (list_tastes_QC.sizes > 0)
        if not known_Q.any():
            return None
        between_Q = _entropy(_middle(self.history_tastes_QC, list_tastes_QC))
        divergence_Q = between_Q - (_entropy(self.history_tastes_QC) + _entropy(list_tastes_QC)) / 2
        return float(np.mean(divergence_Q[known_Q]))


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


def _list_similarity(lists_bK: IntArray, categories: Categories) -> FloatArray:
    """[b] mean Jaccard similarity of two items of each list; NaN where no two have categories."""
    lists, places = lists_bK.shape
    has_NC = categories.has_NC
    items = _events(np.arange(lists_bK.size + 1), lists_bK.ravel(), categories)
    place_T, category_T = np.divmod(terms(items, has_NC)[0], has_NC.width)
    # Number the categories anew within each list, so that dense tables stay small.
    list_T = place_T // places
    key_T = list_T * has_NC.width + category_T
    distinct, number_T = np.unique(key_T, return_inverse=True)
    first_b = np.searchsorted(distinct, np.arange(lists) * has_NC.width)
    number_T = number_T - first_b[list_T]
    has_bKL = np.zeros((lists, places, int(number_T.max(initial=-1)) + 1))
    has_bKL[list_T, place_T % places, number_T] = 1

    first, second = np.triu_indices(places, 1)
    shared = (has_bKL @ has_bKL.transpose(0, 2, 1))[:, first, second]
    size_bK = has_bKL.sum(axis=2)
    either = size_bK[:, first] + size_bK[:, second] - shared
    compared = (size_bK[:, first] > 0) & (size_bK[:, second] > 0)
    pairs_b = compared.sum(axis=1)
    total_b = np.divide(shared, either, where=compared, out=np.zeros(either.shape)).sum(axis=1)
    similar_b: FloatArray = np.full(lists, np.nan)
    np.divide(total_b, pairs_b, where=pairs_b > 0, out=similar_b)
    return similar_b


def _events(offsets: IntArray, item_rows: IntArray, categories: Categories) -> CSR:
    """[Q, N + 1] the items of each row; no item is the last column."""
    width = len(categories.has_NC)
    return CSR(offsets, np.where(item_rows < 0, width - 1, item_rows), None, width)


def _tastes(offsets: IntArray, item_rows: IntArray, categories: Categories) -> CSR:
    """[Q, C] each item spreads weight 1 over its categories; rows sum to 1 or 0."""
    has_NC = categories.has_NC
    share_Z = 1 / has_NC.sizes[has_NC.row_of_entry]
    spread_NC = CSR(has_NC.offsets, has_NC.columns, share_Z, has_NC.width)
    keys: list[IntArray] = [np.empty(0, dtype=np.int64)]
    sums: list[FloatArray] = [np.empty(0)]
    events_QN = _events(offsets, item_rows, categories)
    for rows, key_T, share_T in terms_in_blocks(events_QN, spread_NC):
        key_Z, sum_Z = sum_by_key(key_T, share_T, (rows.stop - rows.start) * has_NC.width)
        keys.append(key_Z + rows.start * has_NC.width)
        sums.append(sum_Z)
    shape = (len(offsets) - 1, has_NC.width)
    summed_QC = CSR.from_keys(np.concatenate(keys), np.concatenate(sums), shape)
    return _rows_to_one(summed_QC)


def _rows_to_one(matrix: CSR) -> CSR:
    row_Z = matrix.row_of_entry
    total_R = np.bincount(row_Z, matrix.weights, minlength=len(matrix))
    return CSR(matrix.offsets, matrix.columns, matrix.weights / total_R[row_Z], matrix.width)


def _middle(one_QC: CSR, other_QC: CSR) -> CSR:
    """The mean of two tables."""
    keys = [table.row_of_entry * table.width + table.columns for table in (one_QC, other_QC)]
    halves = np.concatenate([one_QC.weights, other_QC.weights]) / 2
    cells = one_QC.shape[0] * one_QC.shape[1]
    key_Z, value_Z = sum_by_key(np.concatenate(keys), halves, cells)
    return CSR.from_keys(key_Z, value_Z, one_QC.shape)


def _entropy(tastes_QC: CSR) -> FloatArray:
    """[Q] bits of each row."""
    bits_Z = -tastes_QC.weights * np.log2(tastes_QC.weights)
    return np.bincount(tastes_QC.row_of_entry, bits_Z, len(tastes_QC)).astype(np.float64)
