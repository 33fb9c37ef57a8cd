"""Pieces of Semantic IDs: runs of codes that stand for an item's features in any ranker.

A single code is shared by many items, a whole Semantic ID by one. Pieces lie between: like
the pieces of words in language models, they are learned, so that runs of codes that are met often
become pieces of their own and rare ones fall apart into shorter runs, down to single codes. A new
item is made of pieces that are known already.

The model is that of SentencePiece (Kudo, "Subword regularization", ACL 2018): every piece has a
probability, an item is any sequence of pieces that spells its codes, and pieces whose loss hurts
least are dropped, round by round. A code means something else on another level, so a piece has its
place: the same numbers elsewhere are another piece.

Shapes      N items, L levels, P pieces, G runs of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlm.tokenize.lookup import RowLookup, prefix_groups
from itemlm.types import ConfigError, DataError, FloatArray, IntArray

SEEDS = 4  # times as many pieces at first as in the end
ROUNDS = 2  # of expectation and maximization between two prunings
KEPT = 0.75  # of the pieces in a round of pruning
UNSEEN = 1e-3  # times that a single code is taken to occur where it does not


@dataclass(frozen=True, eq=False, kw_only=True)
class Pieces:
    """Pieces with their probabilities; every single code is among them.

    Attributes:
        codes_PL: the codes of each piece, -1 on the levels outside it.
        log_P: natural logarithms of their probabilities.
        levels: codes in each level.
    """

    codes_PL: IntArray
    log_P: FloatArray
    levels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.codes_PL)

    def spell(self, codes_NL: IntArray) -> IntArray:
        """[N, L] the most probable pieces that spell each item, in order, -1 after the last.

        Raises:
            DataError: if a code is out of range.
        """
        codes_NL = np.asarray(codes_NL)
        if codes_NL.ndim != 2 or codes_NL.shape[1] != len(self.levels):
            raise DataError(
                f"codes have shape {codes_NL.shape}, but pieces were learned from items of "
                f"{len(self.levels)} codes."
            )
        if ((codes_NL < 0) | (codes_NL >= np.array(self.levels))).any():
            raise DataError(f"codes must lie within the levels {self.levels}.")
        items, size = codes_NL.shape
        piece_NLL = self.found(codes_NL)
        best = np.full((items, size + 1), -np.inf)
        best[:, 0] = 0
        start = np.zeros((items, size + 1), dtype=np.int64)
        log = np.append(self.log_P, -np.inf)[piece_NLL]
        for stop in range(1, size + 1):
            through = best[:, :stop] + log[:, :stop, stop - 1]
            start[:, stop] = through.argmax(axis=1)
            best[:, stop] = through.max(axis=1)
        spelled = np.full((items, size), -1, dtype=np.int64)
        row, stop_N = np.arange(items), np.full(items, size)
        for place in range(size - 1, -1, -1):  # from the end; moved to the front below
            going = stop_N > 0
            begin = start[row, stop_N]
            spelled[going, place] = piece_NLL[row, begin, stop_N - 1][going]
            stop_N = np.where(going, begin, 0)
        order = np.argsort(spelled < 0, axis=1, kind="stable")
        return np.take_along_axis(spelled, order, axis=1)

    def found(self, codes_NL: IntArray) -> IntArray:
        """[N, L, L] the piece from one level to another, both inclusive; -1 where there is none."""
        items, size = codes_NL.shape
        piece_NLL = np.full((items, size, size), -1, dtype=np.int64)
        for start in range(size):
            for stop in range(start, size):
                piece_NLL[:, start, stop] = self._lookup.rows(run(codes_NL, start, stop))
        return piece_NLL

    @cached_property
    def _lookup(self) -> RowLookup:
        return RowLookup(self.codes_PL, self.levels)


def learn_pieces(
    codes_NL: IntArray, levels: Sequence[int], weights_N: FloatArray, size: int
) -> Pieces:
    """Pieces of which the items, met as often as their weights say, are probable sequences.

    Args:
        codes_NL: the Semantic ID of each item.
        levels: codes in each level.
        weights_N: how often each item is met, such as its events in training.
        size: pieces in all, one for every single code included.

    Raises:
        ConfigError: if `size` has no room for single codes.
    """
    levels = tuple(int(codes) for codes in levels)
    if size < sum(levels):
        raise ConfigError(
            f"{size} pieces have no room for the {sum(levels)} single codes, of which new items "
            "are made where nothing longer fits. Ask for more pieces or fewer codes."
        )
    codes_NL = np.asarray(codes_NL)
    pieces = _seeds(codes_NL, levels, weights_N, SEEDS * size)
    while True:
        for _ in range(ROUNDS):
            count_P = _expected(pieces, codes_NL, weights_N)
            pieces = _with_counts(pieces, count_P)
        if len(pieces) <= size:
            return pieces
        pieces = _pruned(pieces, count_P, max(size, round(KEPT * len(pieces))))


def run(codes_NL: IntArray, start: int, stop: int) -> IntArray:
    """[N, L] the codes from one level to another, both inclusive, and -1 elsewhere."""
    run_NL = np.full(codes_NL.shape, -1, dtype=np.int64)
    run_NL[:, start : stop + 1] = codes_NL[:, start : stop + 1]
    return run_NL


def _seeds(codes_NL: IntArray, levels: tuple[int, ...], weights_N: FloatArray, most: int) -> Pieces:
    """Every single code, and the longer runs that cover most of what is met."""
    size = len(levels)
    single_PL = np.full((sum(levels), size), -1, dtype=np.int64)
    level_P = np.repeat(np.arange(size), levels)
    single_PL[np.arange(len(single_PL)), level_P] = np.concatenate([np.arange(n) for n in levels])
    long, gain = [], []
    for start in range(size):
        for stop in range(start + 1, size):
            run_NL = run(codes_NL, start, stop)
            _, first, group_N = np.unique(
                prefix_groups(run_NL), return_index=True, return_inverse=True
            )
            long.append(run_NL[first])
            gain.append(np.bincount(group_N, weights_N) * (stop - start + 1))
    if not long:
        return _with_counts_of(single_PL, codes_NL, levels, weights_N)
    long_PL, gain_P = np.concatenate(long), np.concatenate(gain)
    best = np.argsort(-gain_P, kind="stable")[: max(0, most - len(single_PL))]
    best = best[gain_P[best] > 0]
    return _with_counts_of(np.concatenate([single_PL, long_PL[best]]), codes_NL, levels, weights_N)


def _with_counts_of(
    codes_PL: IntArray, codes_NL: IntArray, levels: tuple[int, ...], weights_N: FloatArray
) -> Pieces:
    """Pieces as probable as they are frequent, wherever they occur."""
    pieces = Pieces(codes_PL=codes_PL, log_P=np.zeros(len(codes_PL)), levels=levels)
    piece_NLL = pieces.found(codes_NL)
    weight_NLL = np.broadcast_to(weights_N[:, None, None], piece_NLL.shape)[piece_NLL >= 0]
    return _with_counts(pieces, _summed(piece_NLL[piece_NLL >= 0], weight_NLL, len(codes_PL)))


def _with_counts(pieces: Pieces, count_P: FloatArray) -> Pieces:
    """The same pieces, as probable as these counts say."""
    count_P = np.maximum(count_P, UNSEEN)
    return Pieces(
        codes_PL=pieces.codes_PL, log_P=np.log(count_P / count_P.sum()), levels=pieces.levels
    )


def _expected(pieces: Pieces, codes_NL: IntArray, weights_N: FloatArray) -> FloatArray:
    """[P] how often each piece is expected among all spellings: forward and backward sums."""
    items, size = codes_NL.shape
    piece_NLL = pieces.found(codes_NL)
    log_NLL = np.append(pieces.log_P, -np.inf)[piece_NLL]
    ahead = np.full((items, size + 1), -np.inf)
    behind = ahead.copy()
    ahead[:, 0] = behind[:, size] = 0
    for stop in range(1, size + 1):
        ahead[:, stop] = np.logaddexp.reduce(ahead[:, :stop] + log_NLL[:, :stop, stop - 1], axis=1)
    for start in range(size - 1, -1, -1):
        behind[:, start] = np.logaddexp.reduce(
            behind[:, start + 1 :] + log_NLL[:, start, start:], axis=1
        )
    share_NLL = np.exp(
        ahead[:, :size, None] + log_NLL + behind[:, None, 1:] - ahead[:, size, None, None]
    )
    real = piece_NLL >= 0
    weight = (share_NLL * weights_N[:, None, None])[real]
    return _summed(piece_NLL[real], weight, len(pieces))


def _summed(piece_X: IntArray, weight_X: FloatArray, pieces: int) -> FloatArray:
    """[P] the weights of each piece."""
    return np.bincount(piece_X, weight_X, pieces).astype(np.float64)


def _pruned(pieces: Pieces, count_P: FloatArray, size: int) -> Pieces:
    """The pieces without those that others can replace at the least loss; single codes stay.

    What a piece is worth is how often it is expected, times how much more probable it is than the
    best sequence of shorter pieces in its place.
    """
    worth_P = np.full(len(pieces), np.inf)
    is_long_P = (pieces.codes_PL >= 0).sum(axis=1) > 1
    long = np.flatnonzero(is_long_P)
    worth_P[long] = count_P[long] * (pieces.log_P[long] - _without(pieces, long))
    kept = np.sort(np.argsort(-worth_P, kind="stable")[:size])
    return _with_counts(
        Pieces(codes_PL=pieces.codes_PL[kept], log_P=pieces.log_P[kept], levels=pieces.levels),
        count_P[kept],
    )


def _without(pieces: Pieces, chosen: IntArray) -> FloatArray:
    """[p] log-probability of the best spelling of chosen pieces by shorter ones."""
    codes = pieces.codes_PL[chosen]
    size = codes.shape[1]
    log = np.append(pieces.log_P, -np.inf)[pieces.found(codes)]
    first = (codes >= 0).argmax(axis=1)
    last = size - 1 - (codes[:, ::-1] >= 0).argmax(axis=1)
    row = np.arange(len(codes))
    log[row, first, last] = -np.inf
    best = np.full((len(codes), size + 1), -np.inf)
    best[row, first] = 0
    for stop in range(1, size + 1):
        through = (best[:, :stop] + log[:, :stop, stop - 1]).max(axis=1)
        best[:, stop] = np.maximum(best[:, stop], through)
    log_p: FloatArray = best[row, last + 1]
    return log_p


# --- Without learning --------------------------------------------------------------------------


def ngrams(codes_NL: IntArray, n: int, rows: int) -> IntArray:
    """[N, G] a row of a table for each run of n codes; the last run may be shorter.

    Runs follow one another without overlap, and a hash of a run's place and codes is its row.

    Raises:
        ConfigError: if n or rows is not positive.
    """
    if n < 1 or rows < 1:
        raise ConfigError(f"n and rows must be at least 1, not {n} and {rows}.")
    size = np.asarray(codes_NL).shape[1]
    starts = range(0, size, n)
    hashed = [hash_rows(run(codes_NL, at, min(at + n, size) - 1), rows) for at in starts]
    return np.stack(hashed, axis=1)


def hash_rows(numbers_NX: IntArray, rows: int) -> IntArray:
    """[N] a row below `rows` for each tuple of numbers, the same for equal tuples."""
    key_N: IntArray = np.zeros(len(numbers_NX), dtype=np.uint64)
    for number_N in np.asarray(numbers_NX).T:
        key_N = _mixed(key_N + number_N.astype(np.uint64))
    return (key_N % np.uint64(rows)).astype(np.int64)


def _mixed(key_N: IntArray) -> IntArray:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every bit."""
    key_N = key_N + np.uint64(0x9E3779B97F4A7C15)
    key_N = (key_N ^ (key_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key_N = (key_N ^ (key_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key_N ^ (key_N >> np.uint64(31))
