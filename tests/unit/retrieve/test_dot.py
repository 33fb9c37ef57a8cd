"""Dot-product retrieval gives the lists of reading each history alone and sorting all scores."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from itemlm.papers.sequential.sasrec import Config, SASRec
from itemlm.recommender import Catalog
from itemlm.retrieve import dot
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import DataError, QueryBatch

ITEMS, LENGTH = 700, 6
HISTORIES = [[5, 9, 5], [], list(range(20, 40)), [699], [1, 2, 3, 4, 5, 6], [0, 698]]


def batch_of(histories, **filters):
    lengths = [len(history) for history in histories]
    return QueryBatch(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        **filters,
    )


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Config(length=LENGTH, width=16, heads=2, inner=24)
    return SASRec(config, items=ITEMS).eval()


@pytest.fixture(scope="module")
def recommender(model):
    catalog = Catalog(pl.DataFrame({"item_id": np.arange(ITEMS)}))
    return DotProduct("sasrec", model, catalog, Config(length=LENGTH), LENGTH)


@torch.inference_mode()
def by_full_sort(model, batch, k):
    """The definition: every state by itself, every score, sorted."""
    lists = []
    for query in range(len(batch)):
        history = batch[query : query + 1].item_rows
        read = torch.from_numpy(history[-LENGTH:] if len(history) else np.array([ITEMS]))[None]
        sequence = SequenceBatch(read, torch.tensor([read.shape[1]]), torch.full_like(read, -1))
        score_N = (model(sequence)[0, -1] @ model.item_vectors().T).numpy()
        if batch.exclude_seen:
            score_N[history] = -np.inf
        if batch.allowed_N is not None:
            score_N[~batch.allowed_N] = -np.inf
        if batch.allowed_BN is not None:
            score_N[~batch.allowed_BN[query]] = -np.inf
        order = np.argsort(-score_N)[:k]
        lists.append([int(row) if score_N[row] > -np.inf else -1 for row in order])
    return lists


FILTERS = [
    {},
    {"exclude_seen": False},
    {"allowed_N": np.arange(ITEMS) % 140 == 5},  # five items, of which one is seen
    {
        "allowed_N": np.arange(ITEMS) % 2 == 0,
        "allowed_BN": np.random.default_rng(0).random((len(HISTORIES), ITEMS)) < 0.02,
    },
]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize(("tokens", "scores"), [(2**12, 2**22), (7, 1500), (7, 700)])
def test_equals_a_full_sort(model, recommender, monkeypatch, filters, tokens, scores):
    """In one block, and in blocks of two histories or one."""
    monkeypatch.setattr(dot, "TOKENS_AT_A_TIME", tokens)
    monkeypatch.setattr(dot, "SCORES_AT_A_TIME", scores)
    batch = batch_of(HISTORIES, **filters)
    rows, found = recommender.topk(batch, 9)
    assert rows.tolist() == by_full_sort(model, batch, 9)
    assert (np.isneginf(found) == (rows < 0)).all()
    assert (np.diff(np.where(rows < 0, -1e9, found), axis=1) <= 0).all()


@pytest.mark.parametrize("filters", FILTERS)
def test_scores_on_another_device_give_the_same_lists(filters):
    """Run where the scores are; half of them tie."""
    batch = batch_of(HISTORIES, **filters)
    scores = torch.randn(len(batch), ITEMS, generator=torch.Generator().manual_seed(0)).round_()
    rows, found = dot._best(scores.clone(), batch, 9)
    other_rows, other_found = dot._best_elsewhere(scores.clone(), batch, 9)
    assert other_rows.tolist() == rows.tolist()
    assert other_found.tolist() == found.tolist()


@pytest.mark.parametrize("best", [dot._best, dot._best_elsewhere])
def test_nan_is_a_sentence(best):
    scores = torch.zeros(2, ITEMS)
    scores[1, 300] = torch.nan
    with pytest.raises(DataError, match="NaN"):
        best(scores, batch_of([[], []]), 3)


def test_no_queries(recommender):
    assert recommender.topk(batch_of([]), 4)[0].shape == (0, 4)


def test_more_places_than_items(recommender):
    rows, _ = recommender.topk(batch_of([[1]]), ITEMS + 5)
    assert sorted(rows[0, : ITEMS - 1]) == [row for row in range(ITEMS) if row != 1]
    assert (rows[0, ITEMS - 1 :] == -1).all()


def test_the_state_of_the_last_position_alone(model):
    """What `forward` gives there, whatever stands behind it as padding."""
    torch.manual_seed(1)
    items_BT, lengths_B = torch.randint(ITEMS, (4, LENGTH)), torch.tensor([6, 1, 3, 2])
    batch = SequenceBatch(items_BT, lengths_B, torch.full_like(items_BT, -1))
    with torch.inference_mode():
        expected_BD = model(batch)[torch.arange(4), lengths_B - 1]
        torch.testing.assert_close(model.last_states(batch), expected_BD)
