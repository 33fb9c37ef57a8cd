"""Heads for human priors: who is trained, how heads are composed, and what they answer together."""

from math import log

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.prior_heads import Heads, PriorHeads
from itemlm.objectives.through_heads import through_heads
from itemlm.papers.generative.human_priors import (
    LONG,
    NEW,
    SHORT,
    Config,
    PriorGuided,
    interests,
)
from itemlm.recommender import Catalog
from itemlm.retrieve.mixture import Mixture
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import QueryBatch


def test_interests_are_told_by_when_the_category_was_last_seen():
    # Categories by item: 0 0 1 1 -1 (says nothing). One history: 0, 2, 3, and 4.
    fine_N = torch.tensor([0, 0, 1, 1, -1, -1])
    batch = SequenceBatch(
        items_BT=torch.tensor([[0, 2, 3, 4]]),
        lengths_B=torch.tensor([4]),
        targets_BT=torch.tensor([[2, 3, 1, 4]]),
    )
    # 2 after 0: new. 3 after 0, 2: its category is the latest. 1 after 0, 2, 3: seen three events
    # ago, which is not among the last two. 4 belongs to no category, so it is new.
    assert interests(fine_N, batch, recent=2).tolist() == [[NEW, SHORT, LONG, NEW]]
    assert interests(fine_N, batch, recent=3).tolist() == [[NEW, SHORT, SHORT, NEW]]


def with_random_heads(groups, width=4):
    torch.manual_seed(0)
    heads = PriorHeads(width, groups, rank=3)
    for prior in heads.priors:
        torch.nn.init.normal_(prior.up)
    return heads


def test_heads_begin_as_copies_of_the_backbone():
    state_MD = torch.randn(5, 4)
    composed_MD, _ = PriorHeads(4, [2, 3], rank=2)(state_MD, torch.zeros(5, 2, dtype=torch.long))
    assert torch.equal(composed_MD, state_MD)


def test_only_the_head_of_a_targets_group_is_trained():
    heads = with_random_heads([3])
    composed_MD, _ = heads(torch.randn(5, 4), torch.full((5, 1), 1))
    composed_MD.sum().backward()
    touched = heads.priors[0].up.grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [False, True, False]


def test_a_state_through_one_head_is_that_state_among_all():
    torch.manual_seed(0)
    heads = Heads(4, groups=3, rank=2)
    torch.nn.init.normal_(heads.up)
    state_MD, group_M = torch.randn(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    all_MGD = heads.all(state_MD)
    assert torch.allclose(heads.of(state_MD, group_M), all_MGD[torch.arange(6), group_M], atol=1e-6)


def test_heads_of_the_second_prior_build_on_those_of_the_first():
    heads = with_random_heads([2, 3])
    state_MD = torch.randn(1, 4)
    all_MHD, log_MH = heads.combinations(state_MD)
    assert all_MHD.shape == (1, 6, 4)
    assert float(log_MH.exp().sum().detach()) == pytest.approx(1.0)
    first, second = heads.priors
    for one in range(2):
        for two in range(3):
            middle = first.all(state_MD)[:, one]
            assert torch.allclose(all_MHD[:, 3 * one + two], second.all(middle)[:, two], atol=1e-6)
            composed, surprise = heads(state_MD, torch.tensor([[one, two]]))
            assert torch.allclose(composed, all_MHD[:, 3 * one + two], atol=1e-6)
            assert float(surprise.detach()) == pytest.approx(
                -float(log_MH[0, 3 * one + two].detach()), abs=1e-5
            )


def test_no_prior_is_the_backbone_alone():
    heads, state_MD = PriorHeads(4, [], rank=2), torch.randn(2, 4)
    composed_MD, surprise = heads(state_MD, torch.zeros(0, 0, dtype=torch.long))
    assert torch.equal(composed_MD, state_MD)
    assert float(surprise) == 0
    all_MHD, log_MH = heads.combinations(state_MD)
    assert torch.equal(all_MHD[:, 0], state_MD)
    assert log_MH.tolist() == [[0.0], [0.0]]


class TwoHeads(torch.nn.Module):
    """Two items; a head that wants the first with p = .9, and one that wants the second with .6."""

    def __init__(self):
        super().__init__()
        self.items = torch.nn.Parameter(torch.eye(2))

    def item_vectors(self):
        return self.items

    @property
    def items_of_heads(self):
        return [torch.arange(2), torch.arange(2)]

    def mixture(self, batch):
        states = torch.tensor([[[log(0.9), log(0.1)], [log(0.4), log(0.6)]]])
        return states, torch.tensor([[log(0.25), log(0.75)]])


def test_answers_mix_the_heads():
    catalog = Catalog(pl.DataFrame({"item_id": ["a", "b"]}))
    nobody = QueryBatch(
        offsets=np.array([0, 0]), item_rows=np.empty(0, np.int64), user_rows=np.array([-1])
    )
    rows_BK, scores_BK = Mixture("human_priors", TwoHeads(), catalog, None, 3).topk(nobody, 2)
    # a: .25 * .9 + .75 * .4 = .525; b: .25 * .1 + .75 * .6 = .475
    assert rows_BK.tolist() == [[0, 1]]
    assert np.exp(scores_BK[0]).tolist() == pytest.approx([0.525, 0.475], abs=1e-5)


def test_a_categorys_head_chooses_among_its_items_only():
    config = Config(width=4, inner=4, interest=False, dropout=0.0, length=3)
    model = PriorGuided(config, np.array([0, 0, 1]), np.array([0, 0, 1]), 2)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.items.weight)
    batch = SequenceBatch(torch.tensor([[2, 0]]), torch.tensor([2]), torch.tensor([[0, 2]]))
    with torch.no_grad():
        terms = through_heads()(model, batch)
        state_MD = model(batch)[0]
        shares_MG = model.heads.priors[0].router(state_MD).softmax(-1)
        scores_MN = state_MD @ model.item_vectors().T
    # Item 0 against item 1; item 2 is alone in its category.
    first = -log(float(scores_MN[0, :2].softmax(-1)[0]))
    assert float(terms["heads"]) == pytest.approx((first + 0.0) / 2, rel=1e-4)
    groups = -(log(float(shares_MG[0, 0])) + log(float(shares_MG[1, 1]))) / 2
    assert float(terms["groups"]) == pytest.approx(groups, rel=1e-4)


@pytest.mark.parametrize(
    ("category", "interest", "heads"), [(True, True, 7), (True, False, 3), (False, True, 4)]
)
def test_the_backbone_has_its_share_and_the_heads_the_rest(category, interest, heads):
    config = Config(width=4, inner=4, category=category, interest=interest, length=3, backbone=0.25)
    model = PriorGuided(config, np.array([0, 0, 1]), np.array([0, 0, 1]), 2).eval()
    history = SequenceBatch(torch.tensor([[2, 0]]), torch.tensor([2]), torch.full((1, 2), -1))
    with torch.no_grad():
        state_BHD, log_BH = model.mixture(history)
    assert state_BHD.shape[1] == log_BH.shape[1] == len(model.items_of_heads) == heads
    assert float(log_BH[0, 0].exp()) == pytest.approx(0.25)
    assert float(log_BH.exp().sum()) == pytest.approx(1.0)


def test_without_priors_there_is_one_head():
    config = Config(width=4, inner=4, category=False, interest=False, length=3)
    model = PriorGuided(config, np.array([0, 0, 1]), np.array([0, 0, 1]), 2).eval()
    history = SequenceBatch(torch.tensor([[2, 0]]), torch.tensor([2]), torch.tensor([[0, 1]]))
    assert len(model.items_of_heads) == model.mixture(history)[0].shape[1] == 1
    assert list(through_heads()(model, history)) == ["softmax"]
