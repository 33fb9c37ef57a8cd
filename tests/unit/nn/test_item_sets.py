"""Items as sets of tokens: no order, queries apart, scores and losses by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import Shape
from itemlm.nn.item_sets import ItemSets
from itemlm.objectives.item_sets import item_sets
from itemlm.sample.next_items import SequenceBatch

ITEMS = 9
SHAPE = Shape(width=8, blocks=2, heads=2, head_width=4, inner=16, dropout=0.1)


@pytest.fixture
def model():
    """Random weights, large enough that everything matters; items 7 and 8 have no events."""
    torch.manual_seed(0)
    collaborative_NC, texts_NE = torch.randn(ITEMS, 3), torch.randn(ITEMS, 4)
    model = ItemSets(
        collaborative_NC,
        texts_NE,
        torch.arange(7),
        semantic=2,
        hidden=(5,),
        length=4,
        shape=SHAPE,
        beta=0.3,
    ).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.4)
    return model


def histories(*rows):
    """A batch without targets."""
    items_BT = torch.tensor(rows)
    lengths_B = torch.full((len(rows),), len(rows[0]))
    return SequenceBatch(items_BT, lengths_B, torch.full_like(items_BT, -1))


@torch.no_grad()
def test_the_tokens_of_an_item_have_no_order(model):
    tokens_NQD = model.compute_items()
    batch = histories([0, 1, 2], [3, 3, 4])
    shuffled_NQD = tokens_NQD.clone()
    shuffled_NQD[1] = tokens_NQD[1][[2, 0, 1]]
    shuffled_NQD[3] = tokens_NQD[3][[1, 0, 2]]
    torch.testing.assert_close(
        model.states(batch, shuffled_NQD), model.states(batch, tokens_NQD), rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_only_the_past_is_seen(model):
    tokens_NQD = model.compute_items()
    batch = histories([0, 1, 2])
    other_NQD = tokens_NQD.clone()
    other_NQD[1, 1] += 1
    moved_TQ = (model.states(batch, other_NQD) - model.states(batch, tokens_NQD))[0].abs().amax(2)
    assert (moved_TQ > 1e-6).tolist() == [[False] * 3, [True] * 3, [True] * 3]


@torch.no_grad()
def test_queries_do_not_see_each_other(model):
    tokens_NQD, batch = model.compute_items(), histories([0, 1])
    before_TQD = model.states(batch, tokens_NQD)[0]
    model.queries.weight[1] += 1
    moved_TQ = (model.states(batch, tokens_NQD)[0] - before_TQD).abs().amax(2)
    assert (moved_TQ > 1e-6).tolist() == [[False, True, False]] * 2


@torch.no_grad()
def test_the_last_state_is_that_of_the_training_pass(model):
    short, long = histories([5, 6]), histories([0, 1, 2])
    padded = SequenceBatch(
        torch.tensor([[5, 6, ITEMS], [0, 1, 2]]), torch.tensor([2, 3]), torch.full((2, 3), -1)
    )
    share_Q1 = torch.tensor([0.7, 0.3, 0.3])[:, None]
    expected = [
        model.states(batch, model.compute_items())[0, -1] * share_Q1 for batch in (short, long)
    ]
    found_BX = model.last_states(padded)
    torch.testing.assert_close(found_BX, torch.stack(expected).flatten(1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_scores_of_tokens_add_up_with_their_shares(model):
    state_QD = model.states(histories([0, 1]), model.compute_items())[0, -1]
    scores_N = model.last_states(histories([0, 1]))[0] @ model.item_vectors().T
    for item, token_QD in enumerate(model.compute_items()):
        one, two, three = (float(s @ t) for s, t in zip(state_QD, token_QD, strict=True))
        assert float(scores_N[item]) == pytest.approx(0.7 * one + 0.3 * (two + three), rel=1e-3)


@torch.no_grad()
def test_the_loss_by_hand(model):
    batch = histories([0, 1])
    batch.targets_BT[0] = torch.tensor([1, 6])
    found = item_sets(0.7)(model, batch)
    tokens_NQD = model.compute_items()
    state_TQD = model.states(batch, tokens_NQD)[0]
    terms = [
        # Over the seven items with events: the others are no wrong answers.
        -(tokens_NQD[:7, query] @ state_TQD[place, query]).log_softmax(0)[target].item()
        for place, target in ((0, 1), (1, 6))
        for query in range(3)
    ]
    assert found["set"].item() == pytest.approx(sum(terms) / 6, rel=1e-4)
    restored_ME = model.decoder(tokens_NQD[[1, 6], 1:].flatten(1))
    squares = ((restored_ME - model.texts_NE[[1, 6]]) ** 2).sum().item()
    assert found["reconstruction"].item() == pytest.approx(0.7 * squares / (2 * 4), rel=1e-4)
