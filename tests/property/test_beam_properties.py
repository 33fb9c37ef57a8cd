"""What holds of beam search over any catalog: wide beams are exhaustive, narrow ones never stray.

The model is a table: its logits after a prefix are random numbers that only the history and the
prefix decide, so the probability of every item can be written down.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import QueryBatch

CODES = 3  # of every level: a code means the same on all of them
MORE = 2  # levels that every path of a catalog has ended before
# Nothing here is timed: the machine may have other work.
many = settings(max_examples=150, deadline=None)

paths = st.lists(st.integers(0, CODES - 1), min_size=1, max_size=4).map(tuple)


def without_beginnings(found: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those paths that no other path begins with."""
    shorter = {path[:length] for path in found for length in range(1, len(path))}
    return sorted(found - shorter)


class Table(torch.nn.Module):
    """Logits that depend on history and prefix, and on nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    @staticmethod
    def logits(history: tuple[int, ...], prefix: tuple[int, ...]) -> np.ndarray[Any, Any]:
        seed = zlib.crc32(repr((history, prefix)).encode())
        return np.random.default_rng(seed).normal(0, 2, CODES).astype(np.float32)

    def read(self, histories: list[tuple[int, ...]], beams: int) -> tuple[Any, Any]:
        written = [(history, [()]) for history in histories]
        return self._all(written), written

    def write(self, written: Any, parent_BK: Any, codes_BK: Any) -> Any:
        for query, (history, prefixes) in enumerate(written):
            pairs = zip(parent_BK[query].tolist(), codes_BK[query].tolist(), strict=True)
            longer = [(*prefixes[parent], code) for parent, code in pairs]
            written[query] = (history, longer)
        return self._all(written)

    def _all(self, written: Any) -> Any:
        return torch.tensor(
            np.array(
                [
                    [self.logits(history, prefix) for prefix in prefixes]
                    for history, prefixes in written
                ]
            )
        )


def score(history: tuple[int, ...], path: tuple[int, ...]) -> float:
    """Log-probability of a path, code by code."""
    total = 0.0
    for place, code in enumerate(path):
        logits = Table.logits(history, path[:place]).astype(np.float64)
        total += float(logits[code] - np.log(np.exp(logits).sum()))
    return total


@st.composite
def searches(draw: Any) -> tuple[list[tuple[int, ...]], QueryBatch]:
    """A catalog as paths, and queries with histories and filters of all kinds."""
    items = without_beginnings(draw(st.sets(paths, min_size=1, max_size=25)))
    items = draw(st.permutations(items))
    rows = st.lists(st.integers(0, len(items) - 1), max_size=2 * len(items))
    histories = draw(st.lists(rows, min_size=1, max_size=4))
    mask = st.lists(st.booleans(), min_size=len(items), max_size=len(items))
    shared = draw(st.none() | mask)
    own = draw(st.none() | st.lists(mask, min_size=len(histories), max_size=len(histories)))
    batch = QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        exclude_seen=draw(st.booleans()),
        allowed_N=None if shared is None else np.array(shared),
        allowed_BN=None if own is None else np.array(own),
    )
    return items, batch


def beam_over(items: list[tuple[int, ...]], beams: int, more: int = 0) -> CodeBeam:
    """A search over these paths; the table reads the whole history."""
    levels = max(map(len, items)) + more
    codes_NL = np.array([[*path, *[-1] * (levels - len(path))] for path in items])
    ItemTokens(codes_NL, (CODES,) * levels, shared=True)  # such paths are what tokenizers make

    def histories(batch: QueryBatch, device: Any) -> list[tuple[int, ...]]:
        return [tuple(batch[q : q + 1].item_rows.tolist()) for q in range(len(batch))]

    catalog = Catalog(pl.DataFrame({"item_id": range(len(items))}))
    return CodeBeam(
        "tiger", Table(), codes_NL, catalog, None, length=9, beams=beams, prompts=histories
    )


def allowed_items(batch: QueryBatch, query: int, items: int) -> set[int]:
    """By plain Python: what may be recommended to one query."""
    seen = batch[query : query + 1].item_rows.tolist() if batch.exclude_seen else []
    return {
        row
        for row in range(items)
        if row not in seen
        and (batch.allowed_N is None or batch.allowed_N[row])
        and (batch.allowed_BN is None or batch.allowed_BN[query, row])
    }


def history_of(batch: QueryBatch, query: int) -> tuple[int, ...]:
    return tuple(batch[query : query + 1].item_rows.tolist())


@many
@given(searches(), st.integers(1, 30))
def test_with_a_beam_per_item_the_search_is_exhaustive(problem: Any, k: int) -> None:
    items, batch = problem
    rows_BK, scores_BK = beam_over(items, beams=len(items)).topk(batch, k)
    for query in range(len(batch)):
        expected = {
            row: score(history_of(batch, query), items[row])
            for row in allowed_items(batch, query, len(items))
        }
        best = sorted(expected, key=expected.__getitem__, reverse=True)[:k]
        found = rows_BK[query, : len(best)].tolist()
        assert set(found) <= set(expected)
        assert len(set(found)) == len(best)
        assert [expected[row] for row in found] == pytest.approx(
            [expected[row] for row in best], abs=1e-4
        )
        assert scores_BK[query, : len(best)].tolist() == pytest.approx(
            [expected[row] for row in found], abs=1e-4
        )
        assert (rows_BK[query, len(best) :] == -1).all()
        assert np.isneginf(scores_BK[query, len(best) :]).all()


@many
@given(searches(), st.integers(1, 5))
def test_a_narrow_beam_finds_allowed_items_with_their_true_scores(problem: Any, k: int) -> None:
    items, batch = problem
    rows_BK, scores_BK = beam_over(items, beams=k).topk(batch, k)
    for query in range(len(batch)):
        allowed = allowed_items(batch, query, len(items))
        found = rows_BK[query][rows_BK[query] >= 0].tolist()
        assert len(set(found)) == len(found)
        assert set(found) <= allowed
        expected = [score(history_of(batch, query), items[row]) for row in found]
        assert scores_BK[query, : len(found)].tolist() == pytest.approx(expected, abs=1e-4)
        assert expected == pytest.approx(sorted(expected, reverse=True), abs=1e-4)
        # No beam is ever lost: each open first code leads to an item.
        assert len(found) >= min(k, len({items[row][0] for row in allowed}))


@many
@given(searches(), st.integers(1, 9))
def test_levels_after_the_end_of_a_path_cost_nothing(problem: Any, k: int) -> None:
    items, batch = problem
    rows_BK, scores_BK = beam_over(items, beams=k).topk(batch, k)
    more_BK, more_scores_BK = beam_over(items, beams=k, more=MORE).topk(batch, k)
    assert more_BK.tolist() == rows_BK.tolist()
    assert more_scores_BK == pytest.approx(scores_BK, abs=1e-5)


@many
@given(searches(), st.integers(1, 5))
def test_a_batch_is_answered_like_its_queries(problem: Any, k: int) -> None:
    items, batch = problem
    beam = beam_over(items, beams=k)
    together, scores_BK = beam.topk(batch, k)
    for query in range(len(batch)):
        alone, scores = beam.topk(batch[query : query + 1], k)
        assert alone[0].tolist() == together[query].tolist()
        assert scores[0] == pytest.approx(scores_BK[query], abs=1e-5)
