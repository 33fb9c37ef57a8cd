"""EASE: a linear model from items to items, learned in one step.

Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, arXiv:1905.03375.

The idea    Predict every item of a history from all its other items by ridge regression. The only
            constraint, that no item may predict itself, leaves a closed form:
            with G = X'X and P = (G + l2 I)^-1, the weights are B_ij = -P_ij / P_jj, B_jj = 0.
            Unlike neighbor counts it explains away: an item that is only popular earns no weight.
Departures  Items enter once, however often a user took them. Histories without a trained item get
            the order of popularity.
Measured    docs/papers/ease.md
Shapes      B queries, N items, U users.
Memory      4 N^2 bytes: one float32 matrix, in which everything happens. N = 12,000 needs 0.6 GB,
            N = 50,000 needs 10 GB; time grows with N^3. float64 would take twice of both and
            changes nothing: on ML-1M weights differ by less than 1e-5 of the largest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.papers.collaborative.popularity import below_evidence
from itemlm.recommender import Catalog, Recommender, Saved
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.sparse import CSR, together
from itemlm.types import ConfigError, DataError, FloatArray, IntArray, QueryBatch

if TYPE_CHECKING:
    from itemlm.train.run import Run

BYTES_PER_PAIR = 4
ROWS_AT_A_TIME = 512  # items eliminated together


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        l2: ridge penalty, in events; larger on sparser data and for smaller weights.
    """

    l2: float = 100.0

    def __post_init__(self) -> None:
        if not self.l2 > 0:
            raise ConfigError(f"l2 is {self.l2}, but must be more than 0.")


class EASE(Recommender):
    """A dense table of weights between items."""

    paper = "ease"

    def __init__(
        self, catalog: Catalog, config: Config, weights_NN: FloatArray, filler_N: FloatArray
    ) -> None:
        super().__init__(catalog, config)
        self.weights_NN = weights_NN
        self.filler_N = filler_N

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The items best predicted by the whole history, whatever its order."""
        return topk_in_blocks(self._score, batch, k, items=len(self.filler_N))

    def _score(self, batch: QueryBatch) -> FloatArray:
        shape = (len(batch), len(self.filler_N))
        taken_BN = CSR.distinct(batch.query_of_event, batch.item_rows, shape)
        scores_BN = taken_BN.product(self.weights_NN)
        scores_BN[~scores_BN.any(axis=1)] = self.filler_N
        return scores_BN

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights and the filler, both float32."""
        return {"weights": self.weights_NN, "filler": self.filler_N}


def fit(dataset: Dataset, config: Config, run: Run) -> EASE:
    """Solve; nothing is trained step by step, so `run` is not used.

    Raises:
        DataError: if a table of N x N items does not fit in memory.
        ConfigError: if l2 is too small for the data.
    """
    items = len(dataset.items)
    _check_memory(items, _available_bytes())
    # 1. Count in how many histories each pair of items stands together.
    gram_NN = _gram(dataset.sequences, items)
    # 2. Invert the ridge-regularized counts.
    gram_NN[np.diag_indices(items)] += config.l2
    weights_NN = _minus_inverse(gram_NN, config.l2)
    # 3. Divide each column by the inverse's diagonal, and let no item predict itself.
    weights_NN /= -np.diag(weights_NN)
    weights_NN[np.diag_indices(items)] = 0
    return EASE(Catalog.of(dataset), config, weights_NN, below_evidence(dataset.item_counts))


def restore(saved: Saved) -> EASE:
    """The recommender back from its parts."""
    state = saved.state
    return EASE(saved.catalog, saved.config_of(Config), state["weights"], state["filler"])


def _gram(sequences: Sequences, items: int) -> FloatArray:
    """[N, N] X'X, dense."""
    shape = (len(sequences), items)
    taken_UN = CSR.distinct(sequences.user_rows, sequences.item_rows, shape)
    gram_NN = np.zeros((items, items), dtype=np.float32)
    for items_B, key_Z, users_Z in together(taken_UN):
        line_Z, other_Z = np.divmod(key_Z, items)
        gram_NN[items_B[line_Z], other_Z] = users_Z
    return gram_NN


def _minus_inverse(matrix_NN: FloatArray, l2: float) -> FloatArray:
    """The inverse, times -1, of a symmetric positive definite matrix, which it overwrites.

    The sweep operator (Goodnight, The American Statistician 1979), on blocks of items: with P the
    inverse of the pivot block A_KK, every step sets
        A_KK to -P, A_RK to A_RK P and A_RR to A_RR - A_RK P A_KR,
    and when all blocks have had their turn, A is minus its inverse. Only the lower triangle is kept
    up to date: N^3 multiplications in all, as many as by a Cholesky factor.
    """
    items = len(matrix_NN)
    for pivot in _row_blocks(items):
        corner_KK = _mirrored(matrix_NN[pivot, pivot])
        try:
            np.linalg.cholesky(corner_KK)  # says whether the matrix is positive definite
            inverse_KK = np.linalg.inv(corner_KK)
        except np.linalg.LinAlgError as error:
            raise ConfigError(
                f"l2 is {l2}, too small for these data: the equations have no stable solution. "
                "Try l2=100."
            ) from error
        column_NK = np.vstack([matrix_NN[pivot, : pivot.start].T, matrix_NN[pivot.start :, pivot]])
        scaled_NK = column_NK @ inverse_KK
        for rows in _row_blocks(items):
            matrix_NN[rows, : rows.stop] -= scaled_NK[rows] @ column_NK[: rows.stop].T
        matrix_NN[pivot, : pivot.start] = scaled_NK[: pivot.start].T
        matrix_NN[pivot.stop :, pivot] = scaled_NK[pivot.stop :]
        matrix_NN[pivot, pivot] = -inverse_KK
    for rows in _row_blocks(items):
        matrix_NN[: rows.start, rows] = matrix_NN[rows, : rows.start].T
        matrix_NN[rows, rows] = _mirrored(matrix_NN[rows, rows])
    return matrix_NN


def _mirrored(corner: FloatArray) -> FloatArray:
    """A symmetric matrix from its lower triangle."""
    return np.tril(corner) + np.tril(corner, -1).T


def _row_blocks(items: int) -> list[slice]:
    starts = range(0, items, ROWS_AT_A_TIME)
    return [slice(start, min(start + ROWS_AT_A_TIME, items)) for start in starts]


def _check_memory(items: int, available: int | None) -> None:
    needed = BYTES_PER_PAIR * items**2
    if available is not None and needed > available:
        raise DataError(
            f"EASE needs {needed / 1e9:.1f} GB for {items:,} items (4 bytes for every pair), but "
            f"{available / 1e9:.1f} GB of memory are free. Leave out rare items, or use 'itemknn', "
            "which keeps a few neighbors for each item."
        )


def _available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
