"""TTDS: codes that follow what is learned, users that are known only by what came before."""

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import normalize

import itemlm
from itemlm.papers.generative.ttds import TTDS, Config, Live, Refreshing, TowerLoss
from itemlm.recommender import Catalog
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import ConfigError, QueryBatch

ITEMS = 9
CONFIG = Config(
    levels=2,
    codes=4,
    hidden=6,
    latent=3,
    length=4,
    width=8,
    blocks=1,
    heads=2,
    head_width=4,
    inner=16,
    dropout=0.0,
    beams=9,
)


@pytest.fixture
def model():
    """Random weights, with codebooks from random latents."""
    torch.manual_seed(0)
    model = TTDS(CONFIG, torch.randn(ITEMS, 5), torch.randn(ITEMS, 4)).eval()
    for weights in (model.project_user.weight, model.table.project.weight):
        torch.nn.init.normal_(weights)
    model.table.tower.start_codebooks(model._item_latents(), 0)
    model.user_tower.start_codebooks(torch.randn(30, 3), 0)
    model.refresh(0)
    return model


def window(*items):
    """One window: its items, and what followed each."""
    return SequenceBatch(
        torch.tensor([items[:-1]]), torch.tensor([len(items) - 1]), torch.tensor([items[1:]])
    )


def test_a_user_is_the_mean_of_what_they_had_taken(model):
    text, behavior = model.tastes(torch.tensor([[2, 5]]))
    assert text.shape == (1, 3, 5)
    assert not text[0, 0].any()
    assert torch.allclose(text[0, 1], model.text_NV[2])
    assert torch.allclose(text[0, 2], (model.text_NV[2] + model.text_NV[5]) / 2)
    assert torch.allclose(behavior[0, 2], (model.behavior_NE[2] + model.behavior_NE[5]) / 2)


def test_no_target_leaks_into_the_codes_of_its_user(model):
    """Logits of an item's codes are the same whatever comes after it."""
    one, other = model(window(1, 2, 3, 4)), model(window(1, 2, 3, 8))
    for (logits, _), (changed, _) in zip(one, other, strict=True):
        assert torch.allclose(logits[:3], changed[:3], atol=1e-6)
    assert torch.allclose(one[0][0][3], other[0][0][3], atol=1e-6)  # the first code of the last


def test_written_codes_are_read_as_in_training(model):
    """What a beam sees after a history is what the window that goes on with it sees."""
    items = (1, 2, 3, 4)
    trained = [logits[3] for logits, _ in model(window(*items))]
    codes = model.table.codes_NL[4]
    logits, written = model.read(window(*items[:3], 0), beams=1)
    assert torch.allclose(logits[0, 0], trained[0], atol=1e-5)
    for level in (1, 2):
        logits = model.write(written, torch.zeros(1, 1, dtype=int), codes[None, None, level - 1])
        assert torch.allclose(logits[0, 0], trained[level], atol=1e-5)


def test_what_is_written_moves_the_codewords(model):
    """The loss of the next code reaches the item tower, and the user tower's encoders."""
    sum(logits.square().mean() for logits, _ in model(window(1, 2, 3, 4))).backward()
    assert model.table.tower.codebooks[0].grad.abs().sum() > 0
    assert model.user_tower.text_encoder[0].weight.grad.abs().sum() > 0


def test_refreshing_follows_the_tower_and_keeps_codes_unique(model):
    assert model.refresh(0) == 0.0  # nothing was learned in between
    before = model.table.codes_NL[:-1].clone()
    with torch.no_grad():
        for codebook in model.table.tower.codebooks:
            codebook.copy_(codebook.flip(0))
    moved = model.refresh(0)
    after = model.table.codes_NL[:-1]
    assert moved == pytest.approx((before != after).any(1).float().mean().item())
    assert moved > 0
    assert len(torch.unique(after, dim=0)) == ITEMS


def test_codes_are_made_anew_before_some_epochs_only():
    class Counting:
        refreshed = 0

        def refresh(self, seed):
            self.refreshed += 1

    class Nothing:
        steps = 1

        def batches(self, epoch, skip=0):
            return iter(())

    counting = Counting()
    config = Config(refresh_every=2, refreshes=3)
    source = Refreshing(Nothing(), counting, config, seed=0)
    due = []
    for epoch in range(10):
        before = counting.refreshed
        source.batches(epoch)
        due += [epoch] * (counting.refreshed - before)
    assert due == [2, 4, 6]
    source.batches(4, skip=1)  # a run that goes on in the middle of an epoch
    assert counting.refreshed == 3


def test_answers_follow_the_codes_of_the_moment(model):
    catalog = Catalog(pl.DataFrame({"item_id": [f"i{row}" for row in range(ITEMS)]}))
    live = Live(model, catalog, CONFIG)
    batch = QueryBatch(
        offsets=np.array([0, 2]), item_rows=np.array([1, 2]), user_rows=np.array([-1])
    )
    with torch.no_grad():
        rows, scores = live.topk(batch, 9)
        assert sorted(rows[0, :7].tolist()) == [0, 3, 4, 5, 6, 7, 8]
        before = dict(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
        # Exchange the codes of two items: they exchange their scores, as targets of a search.
        model.table.codes_NL[[3, 4]] = model.table.codes_NL[[4, 3]]
        rows, scores = live.topk(batch, 9)
        after = dict(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
    assert before[3] != before[4]
    assert (after[3], after[4]) == pytest.approx((before[4], before[3]), rel=1e-5)
    assert after[5] == pytest.approx(before[5], rel=1e-5)


def test_users_are_drawn_to_what_they_take_next(model):
    history = window(1, 2, 3, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(0)
    for _ in range(200):
        optimizer.zero_grad()
        model.tower_terms(history, quantized=False)["alignment"].backward()
        optimizer.step()
    with torch.no_grad():
        text, behavior = model.user_tower.latents(*model.tastes(history.items_BT))
        after_TH = ((text + behavior) / 2)[0, 1:4]
        cosine_TN = normalize(after_TH, dim=1) @ normalize(model._item_latents(), dim=1).T
    next_N = torch.tensor([2, 3, 4])
    assert next_N[cosine_TN[:, next_N].argmax(1)].tolist() == [2, 3, 4]


def test_the_terms_are_weighted(model):
    terms = model.tower_terms(window(1, 2, 3, 4), quantized=True)
    assert set(terms) == {"alignment", "quantization", "reconstruction"}
    weighted = TowerLoss(Config(towers=0.5, alignment=0.1), quantized=True)
    torch.manual_seed(3)
    terms = model.tower_terms(window(1, 2, 3, 4), quantized=True)
    torch.manual_seed(3)
    loss = weighted(model, window(1, 2, 3, 4))
    assert loss["alignment"].item() == pytest.approx(0.1 * terms["alignment"].item())
    assert loss["quantization"].item() == pytest.approx(0.5 * terms["quantization"].item())


def test_too_few_codes_is_a_sentence():
    world = itemlm.world(users=60, items=40)
    with pytest.raises(ConfigError, match="codes is 6, but 40 items need at least 7"):
        itemlm.fit("ttds", world.dataset, codes=6)
