"""Spectral clustering of items by the company that they keep, in numpy.

Two items are tied by the number of histories that hold both. The leading eigenvectors of that
graph, with every tie divided by the geometric mean of its ends' degrees, put items that are tied to
the same items into the same directions (Ng, Jordan and Weiss, NIPS 2001). Reading the groups off
the directions needs no k-means: a pivoted QR finds one item that is typical of each group, a
rotation turns the directions toward these, and each item goes where it points (Damle, Minden and
Ying, "Simple, direct and efficient multi-way spectral clustering", Information and Inference 2019;
this is `cluster_qr` of scikit-learn).

A few percent of an even tie between all items is added, without which the leading eigenvectors of a
sparse graph are those of its smallest scraps (Amini, Chen, Bickel and Levina, Annals of Statistics
2013). The matrix of ties is never made: its products are products with the histories.

Shapes      H histories, N items, W vectors at a time, K groups, S vectors searched in.
"""

from __future__ import annotations

import numpy as np

from itemlm.sparse import CSR
from itemlm.types import FloatArray, IntArray

EVEN_TIES = 0.05  # added to every item's degree, as a share of the mean degree
DENSE = 600  # items up to which all eigenvectors are computed at once
SPARE = 10  # eigenvectors sought beyond those wanted, which makes the last of these better
DEPTH = 6  # products of a round of the search
ROUNDS = 12  # of the search, at most
RESIDUAL = 1e-3  # an eigenvector is good enough when what it leaves is this short


class Ties:
    """The normalized graph of items, as what it does to vectors.

    Args:
        taken_HN: 1 where a history holds an item; every item must share a history with another.
    """

    def __init__(self, taken_HN: CSR) -> None:
        sizes_H = taken_HN.sizes
        self.taken_HN = CSR(taken_HN.offsets, taken_HN.columns, None, taken_HN.width)
        self.taken_NH = self.taken_HN.transposed()
        self.items = taken_HN.width
        self.counts_N = self.taken_NH.sizes.astype(np.float64)
        degree_N = np.bincount(
            taken_HN.columns, np.repeat(sizes_H - 1, sizes_H), minlength=self.items
        )
        self.even = EVEN_TIES * degree_N.mean()
        self.scale_N1 = 1 / np.sqrt(degree_N + self.even)[:, None]

    def __matmul__(self, x_NW: FloatArray) -> FloatArray:
        """[N, W] the products; eigenvalues lie between -1 and 1."""
        x_NW = self.scale_N1 * x_NW
        together_NW = self.taken_NH.product(self.taken_HN.product(x_NW))
        together_NW -= self.counts_N[:, None] * x_NW  # no item is tied to itself
        together_NW += self.even / self.items * x_NW.sum(axis=0)
        product_NW: FloatArray = self.scale_N1 * together_NW
        return product_NW


def leading_eigenvectors(ties: Ties, k: int, seed: int) -> FloatArray:
    """[N, K] orthonormal eigenvectors of the largest eigenvalues, largest first.

    A block of vectors and its products with the matrix span a space that holds the leading
    eigenvectors ever better; the best vectors in it begin the next round (restarted block Krylov).
    """
    if ties.items <= max(DENSE, DEPTH * (k + SPARE)):  # else the basis would be no smaller
        return _all_eigenvectors(ties @ np.eye(ties.items))[:, :k]
    rng = np.random.default_rng(seed)
    width = k + SPARE
    block_NW = np.linalg.qr(rng.standard_normal((ties.items, width))).Q
    for _ in range(ROUNDS):
        basis_NS, image_NS = block_NW, ties @ block_NW
        for _ in range(DEPTH - 1):
            fresh_NW = image_NS[:, -width:]
            for _ in range(2):  # once leaves rounding errors
                fresh_NW = fresh_NW - basis_NS @ (basis_NS.T @ fresh_NW)
            fresh_NW = np.linalg.qr(fresh_NW).Q
            basis_NS = np.concatenate([basis_NS, fresh_NW], axis=1)
            image_NS = np.concatenate([image_NS, ties @ fresh_NW], axis=1)
        turn_SS = _all_eigenvectors(basis_NS.T @ image_NS)
        block_NW = basis_NS @ turn_SS[:, :width]
        image_NK = image_NS @ turn_SS[:, :k]
        value_K = np.einsum("nk,nk->k", block_NW[:, :k], image_NK)
        left_NK = image_NK - block_NW[:, :k] * value_K
        if np.linalg.norm(left_NK, axis=0).max() < RESIDUAL:
            break
        block_NW = np.linalg.qr(block_NW).Q
    return block_NW[:, :k]


def _all_eigenvectors(matrix_SS: FloatArray) -> FloatArray:
    """Those of a symmetric matrix, of the largest eigenvalue first."""
    vectors_SS: FloatArray = np.linalg.eigh((matrix_SS + matrix_SS.T) / 2).eigenvectors[:, ::-1]
    return vectors_SS


def groups_of_directions(x_NK: FloatArray) -> IntArray:
    """[N] the group, one of K, that each row of K orthonormal columns points to."""
    typical_KK = x_NK[_pivots(x_NK)]
    left_KK, _, right_KK = np.linalg.svd(typical_KK.T)
    group_N: IntArray = np.abs(x_NK @ (left_KK @ right_KK)).argmax(axis=1)
    return group_N


def _pivots(x_NK: FloatArray) -> IntArray:
    """K rows as different as can be: the longest, then the longest of what is left, ..."""
    rest_NK = x_NK.copy()
    rows = []
    for _ in range(x_NK.shape[1]):
        rows.append(int(np.einsum("nk,nk->n", rest_NK, rest_NK).argmax()))
        direction_K = rest_NK[rows[-1]] / np.linalg.norm(rest_NK[rows[-1]])
        rest_NK -= np.outer(rest_NK @ direction_K, direction_K)
    return np.array(rows)


def spectral_groups(taken_HN: CSR, k: int, seed: int) -> IntArray:
    """[N] the group of each item, counted from 0; no group is empty.

    Args:
        taken_HN: 1 where a history holds an item, with two items or more in every history and one
            history or more for every item.
        k: groups wanted; fewer may come back.
        seed: of the search for eigenvectors.
    """
    k = min(k, taken_HN.width)
    group_N = groups_of_directions(leading_eigenvectors(Ties(taken_HN), k, seed))
    return np.unique(group_N, return_inverse=True)[1]
