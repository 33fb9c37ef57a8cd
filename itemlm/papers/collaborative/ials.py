"""iALS: one vector per item, such that a history's own least squares finds what is missing from it.

Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008, in
the form and with the regularization of Rendle, Krichene, Zhang and Koren, "Revisiting the
performance of iALS on item recommendation benchmarks", RecSys 2022, arXiv:2110.14037.

The idea    Approximate the table of who took what, w_u . h_i, by least squares: what was taken
            should score 1, and every pair, taken or not, is drawn toward 0 with a small weight a.
            Users are solved for while items stand still, then items. The squares over all pairs
            need only the Gram matrix of the other side, so a step costs what was taken, not users
            times items. With H_u the n_u vectors of u's items, and N items in all:
            (H_u' H_u + a H'H + l2 (n_u + a N) I) w_u = H_u' 1.
            The last term on the left is the regularization, scaled by how much a vector has to
            explain. A new user or event is one more such solution: nothing is trained again.
Departures  Items enter once, however often a user took them. The alternating steps are not solved
            exactly, but by two rounds of conjugate gradients that start from the last solution
            (Takacs, Pilaszy and Tikk, RecSys 2011); queries are solved exactly. Histories without
            a trained item get the order of popularity.
Measured    docs/papers/ials.md
Shapes      B queries or rows solved together, U users, N items, T the longest history among them,
            D width, R rows and C columns of "who took what" or of its transpose. Tables of vectors
            end with a line of zeros, [C + 1, D], for places beyond the end of a history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.papers.collaborative.popularity import below_evidence
from itemlm.recommender import Catalog, Recommender, Saved
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.sparse import CSR
from itemlm.types import ConfigError, FloatArray, IntArray, QueryBatch

if TYPE_CHECKING:
    from itemlm.train.run import Run

GRADIENT_STEPS = 2  # of conjugate gradients; 3 and 6 gave the same lists' quality, 1 less
FIRST_SCALE = 0.1  # standard deviation of the first vectors' lengths
CELLS_AT_A_TIME = 2**19  # of gathered vectors: 2 MB, which a cache holds
TINY = 1e-30  # keeps 0 / 0 of a finished row at 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings; the defaults of the two weights were chosen on the validation parts of Beauty and
    ML-1M together.

    Attributes:
        width: numbers per vector. More is better, up to thousands; time grows with it.
        iterations: how often users and items are solved for.
        unobserved: weight of the pull toward 0 of every pair of a user and an item.
        l2: regularization of a vector, for each event of its user or item and for each unobserved
            pair at its weight.
        seed: of the first vectors.
    """

    width: int = 64
    iterations: int = 16
    unobserved: float = 0.1
    l2: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "iterations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        for name in ("unobserved", "l2"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be more than 0.")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, but must not be negative.")

    def ridge(self, sizes_R: IntArray, others: int) -> FloatArray:
        """[R] what stands on the diagonal for rows with so many events, among so many columns."""
        return (self.l2 * (sizes_R + self.unobserved * others)).astype(np.float32)


class IALS(Recommender):
    """A vector per item; a query's vector is solved from its history."""

    paper = "ials"

    def __init__(
        self, catalog: Catalog, config: Config, items_ND: FloatArray, filler_N: FloatArray
    ) -> None:
        super().__init__(catalog, config)
        self.filler_N = filler_N
        self._items_CD = np.vstack([items_ND, np.zeros_like(items_ND[:1])])
        self.items_ND = self._items_CD[:-1]
        self._background_DD = config.unobserved * (items_ND.T @ items_ND)

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The items that the whole history predicts best, whatever its order."""
        return topk_in_blocks(self._score, batch, k, items=len(self.filler_N))

    def _score(self, batch: QueryBatch) -> FloatArray:
        taken_BN = CSR.distinct(
            batch.query_of_event, batch.item_rows, (len(batch), len(self.filler_N))
        )
        vectors_BD = solved(taken_BN, self._items_CD, self._background_DD, self.config)
        scores_BN = vectors_BD @ self.items_ND.T
        scores_BN[~vectors_BD.any(axis=1)] = self.filler_N
        return scores_BN

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The items' vectors and the filler, both float32."""
        return {"items": self.items_ND, "filler": self.filler_N}


def fit(dataset: Dataset, config: Config, run: Run) -> IALS:
    """Alternate; the number of iterations is fixed, so `run` is not used."""
    sequences = dataset.sequences
    shape = (len(sequences), len(dataset.items))
    # 1. Who took what, from both sides, in groups of rows of similar length.
    taken_UN = CSR.distinct(sequences.user_rows, sequences.item_rows, shape)
    taken_NU = taken_UN.transposed()
    by_user = list(_groups(taken_UN, config))
    by_item = list(_groups(taken_NU, config))
    # 2. Small random vectors; none where nothing is known.
    rng = np.random.default_rng(config.seed)
    users = _first_vectors(rng, taken_UN, config)
    items = _first_vectors(rng, taken_NU, config)
    # 3. Users from items, items from users, and again.
    for _ in range(config.iterations):
        _improve(users, items, by_user, config)
        _improve(items, users, by_item, config)
    return IALS(Catalog.of(dataset), config, items[:-1], below_evidence(dataset.item_counts))


def restore(saved: Saved) -> IALS:
    """The recommender back from its parts."""
    state = saved.state
    return IALS(saved.catalog, saved.config_of(Config), state["items"], state["filler"])


def solved(
    taken_RC: CSR, fixed_CD: FloatArray, background_DD: FloatArray, config: Config
) -> FloatArray:
    """[R, D] the exact least-squares vector of every row; 0 where it is empty.

    Args:
        taken_RC: the columns that each row holds.
        fixed_CD: vectors of the columns, with a line of zeros at the end.
        background_DD: their Gram matrix times the weight of unobserved pairs.
        config: for the regularization.
    """
    vectors_RD = np.zeros((len(taken_RC), fixed_CD.shape[1]), dtype=np.float32)
    diagonal = np.arange(fixed_CD.shape[1])
    for rows_B, columns_BT, ridge_B in _groups(taken_RC, config):
        taken_BTD = np.take(fixed_CD, columns_BT, axis=0)
        matrix_BDD = taken_BTD.transpose(0, 2, 1) @ taken_BTD + background_DD
        matrix_BDD[:, diagonal, diagonal] += ridge_B[:, None]
        target_BD1 = taken_BTD.sum(axis=1)[:, :, None]
        vectors_RD[rows_B] = np.linalg.solve(matrix_BDD, target_BD1)[:, :, 0]
    return vectors_RD


# Rows that are solved together: which, their columns (C beyond the last), and their ridge.
Groups = Iterator[tuple[IntArray, IntArray, FloatArray]]


def _groups(taken_RC: CSR, config: Config) -> Groups:
    """All rows that are not empty, longest first, so that rows of a group are of similar length."""
    sizes_R, columns = taken_RC.sizes, taken_RC.width
    ridge_R = config.ridge(sizes_R, columns)
    longest_first = np.argsort(-sizes_R, kind="stable")[: np.count_nonzero(sizes_R)]
    start = 0
    while start < len(longest_first):
        cells = int(sizes_R[longest_first[start]]) * config.width
        rows_B = longest_first[start : start + max(1, CELLS_AT_A_TIME // cells)]
        entry_BT, inside_BT = taken_RC.lines(rows_B)
        yield rows_B, np.where(inside_BT, taken_RC.columns[entry_BT], columns), ridge_R[rows_B]
        start += len(rows_B)


def _first_vectors(rng: np.random.Generator, taken_RC: CSR, config: Config) -> FloatArray:
    """[R + 1, D] random; zeros where nothing is known, and at the end."""
    vectors_RD = np.zeros((len(taken_RC) + 1, config.width), dtype=np.float32)
    known_R = taken_RC.sizes > 0
    shape = (int(known_R.sum()), config.width)
    scale = FIRST_SCALE / config.width**0.5
    vectors_RD[:-1][known_R] = scale * rng.standard_normal(shape, dtype=np.float32)
    return vectors_RD


def _improve(
    vectors_RD: FloatArray,
    fixed_CD: FloatArray,
    groups: list[tuple[IntArray, IntArray, FloatArray]],
    config: Config,
) -> None:
    """Move vectors toward `solved`, in place, by conjugate gradients on a whole group at once.

    The matrix of a row is only ever multiplied with a vector, which takes 2 T D multiplications;
    to make it would take T D^2.
    """
    background_DD = config.unobserved * (fixed_CD.T @ fixed_CD)
    for rows_B, columns_BT, ridge_B in groups:
        taken_BTD = np.take(fixed_CD, columns_BT, axis=0)
        taken_BDT = taken_BTD.transpose(0, 2, 1)
        ridge_B1 = ridge_B[:, None]
        x_BD = vectors_RD[rows_B]
        # The residual of M x = H'1, where M x = H'(H x) + background x + ridge x.
        gap_BT1 = 1 - taken_BTD @ x_BD[:, :, None]
        residual_BD = (taken_BDT @ gap_BT1)[:, :, 0] - x_BD @ background_DD - ridge_B1 * x_BD
        direction_BD = residual_BD.copy()
        size_B1 = _squared(residual_BD)
        for _ in range(GRADIENT_STEPS):
            product_BD = (taken_BDT @ (taken_BTD @ direction_BD[:, :, None]))[:, :, 0]
            product_BD += direction_BD @ background_DD + ridge_B1 * direction_BD
            step_B1 = size_B1 / np.maximum(_dots(direction_BD, product_BD), TINY)
            x_BD += step_B1 * direction_BD
            residual_BD -= step_B1 * product_BD
            before_B1, size_B1 = size_B1, _squared(residual_BD)
            direction_BD *= size_B1 / np.maximum(before_B1, TINY)
            direction_BD += residual_BD
        vectors_RD[rows_B] = x_BD


def _squared(x_BD: FloatArray) -> FloatArray:
    return _dots(x_BD, x_BD)


def _dots(x_BD: FloatArray, y_BD: FloatArray) -> FloatArray:
    """[B, 1] products of each line with its like."""
    products: FloatArray = np.einsum("bd,bd->b", x_BD, y_BD)[:, None]
    return products
