"""Beam search over Semantic IDs, against scoring every item one by one."""

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import DecoderOnly, EncoderDecoder, Shape
from itemlm.nn.temporal import TemporalDepth
from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import QueryBatch

ITEMS, LEVELS, LENGTH = 40, (4, 5, 3), 3
SHAPE = Shape(width=16, blocks=2, heads=2, head_width=8, inner=32, dropout=0.1)


def random_codes(seed: int) -> np.ndarray:
    """ITEMS distinct code tuples."""
    every = np.stack(np.meshgrid(*map(np.arange, LEVELS)), -1).reshape(-1, len(LEVELS))
    return np.random.default_rng(seed).permutation(every)[:ITEMS]


@pytest.fixture(params=[DecoderOnly, EncoderDecoder, TemporalDepth])
def beam(request):
    """A code model with random weights, and a beam as wide as the catalog."""
    torch.manual_seed(1)
    codes_NL = random_codes(1)
    model = request.param(torch.from_numpy(codes_NL), LEVELS, LENGTH, SHAPE)
    for parameter in model.parameters():  # larger weights: histories must matter
        torch.nn.init.normal_(parameter, std=0.4)
    catalog = Catalog(pl.DataFrame({"item_id": range(ITEMS)}))
    return CodeBeam("tiger", model, codes_NL, catalog, None, length=LENGTH, beams=ITEMS)


def batch(histories, **changes):
    """Queries from lists of item rows."""
    return QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([row for history in histories for row in history], dtype=np.int64),
        user_rows=np.full(len(histories), -1),
        **changes,
    )


def log_probabilities(beam, history):
    """[N, L] log softmax of each code of each item, from training-style passes, one at a time."""
    beam.model.eval()
    logs_NL = np.empty((ITEMS, len(LEVELS)))
    recent = history[-LENGTH:]
    for item in range(ITEMS):
        window = [*recent, item]
        sequences = SequenceBatch(
            torch.tensor([window[:-1]]) if recent else torch.full((1, 1), ITEMS),
            torch.tensor([len(recent)]),
            torch.tensor([window[1:]]) if recent else torch.tensor([[item]]),
        )
        with torch.inference_mode():
            levels = beam.model(sequences)
        # The last item of the window is the one that was asked for.
        logs_NL[item] = [logits.log_softmax(-1)[-1, codes[-1]] for logits, codes in levels]
    return logs_NL


def search_by_hand(beam, history, may):
    """The items that a narrow beam ends with, best first: a prefix is a tuple, a level a loop."""
    logs_NL, kept = log_probabilities(beam, history), sorted(may)
    for level in range(len(LEVELS)):
        prefix = {row: tuple(beam.codes_NL[row, : level + 1]) for row in kept}
        score = {prefix[row]: logs_NL[row, : level + 1].sum() for row in kept}
        best = sorted(score, key=score.get, reverse=True)[: beam.beams]
        kept = [row for row in kept if prefix[row] in best]
    return sorted(kept, key=lambda row: -logs_NL[row].sum())


HISTORIES = [[3, 7], [1, 2, 3, 4, 5, 6], [0]]


def test_a_wide_beam_ranks_like_scoring_every_item(beam):
    rows_BK, scores_BK = beam.topk(batch(HISTORIES, exclude_seen=False), 10)
    for history, rows_K, scores_K in zip(HISTORIES, rows_BK, scores_BK, strict=True):
        expected_N = log_probabilities(beam, history).sum(1)
        assert rows_K.tolist() == np.argsort(-expected_N)[:10].tolist()
        assert scores_K == pytest.approx(expected_N[rows_K], abs=1e-4)


def test_seen_and_blocked_items_take_no_places(beam):
    allowed_N = np.arange(ITEMS) % 2 == 0
    rows_BK, scores_BK = beam.topk(batch(HISTORIES, allowed_N=allowed_N), ITEMS)
    for history, rows_K, scores_K in zip(HISTORIES, rows_BK, scores_BK, strict=True):
        may = set(np.flatnonzero(allowed_N)) - set(history)
        assert may
        assert set(rows_K[: len(may)]) == may
        assert (rows_K[len(may) :] == -1).all()
        assert np.isneginf(scores_K[len(may) :]).all()


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_a_narrow_beam_keeps_what_a_search_by_hand_keeps(beam, share, exclude_seen):
    """Every beam goes on from its own parent, whichever place it had before."""
    beam.beams = 6
    allowed_N = np.random.default_rng(2).random(ITEMS) < share
    queries = batch(HISTORIES, exclude_seen=exclude_seen, allowed_N=allowed_N)
    rows_BK, _ = beam.topk(queries, beam.beams)
    for history, rows_K in zip(HISTORIES, rows_BK, strict=True):
        may = set(np.flatnonzero(allowed_N)) - set(history if exclude_seen else ())
        found = search_by_hand(beam, history, may)
        assert rows_K.tolist() == found + [-1] * (beam.beams - len(found))


@pytest.mark.parametrize("cells", [2**20, ITEMS])
def test_every_query_may_have_its_own_filter(beam, monkeypatch, cells):
    """Whether all fit into memory at once or only one does."""
    monkeypatch.setattr("itemlm.retrieve.code_beam.FILTER_CELLS", cells)
    beam.beams = 6
    allowed_BN = np.random.default_rng(3).random((len(HISTORIES), ITEMS)) < 0.3
    shared_N = np.arange(ITEMS) > 5
    queries = batch(HISTORIES, allowed_N=shared_N, allowed_BN=allowed_BN)
    rows_BK, _ = beam.topk(queries, beam.beams)
    for history, rows_K, allowed_N in zip(HISTORIES, rows_BK, allowed_BN, strict=True):
        may = set(np.flatnonzero(allowed_N & shared_N)) - set(history)
        found = search_by_hand(beam, history, may)
        assert rows_K.tolist() == found + [-1] * (beam.beams - len(found))


def test_one_by_one_equals_a_batch(beam):
    """Padding and other queries change nothing, and a narrow beam still finds real items."""
    beam.beams = 4
    together, _ = beam.topk(batch([*HISTORIES, []]), 4)
    alone = [beam.topk(batch([history]), 4)[0][0] for history in [*HISTORIES, []]]
    assert together.tolist() == np.stack(alone).tolist()
    assert (together >= 0).all()


def test_a_repeated_item_in_the_history_is_counted_once(beam):
    rows_once, _ = beam.topk(batch([[3, 7, 7]]), ITEMS)
    assert (rows_once[0] >= 0).sum() == ITEMS - 2
