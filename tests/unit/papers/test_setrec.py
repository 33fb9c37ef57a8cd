"""SETRec: cold items by their texts, and the share of semantic scores by validation questions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.papers.generative import setrec
from itemlm.papers.generative.setrec import BETAS, Config
from itemlm.train.run import Run
from itemlm.train.validation import ndcg_at_10

THEMES = ("garden spade", "kitchen pan", "music guitar", "sport ball")
SMALL = {
    "semantic": 2,
    "hidden": (32,),
    "collaborative": "behavior",
    "collaborative_width": 16,
    "length": 6,
    "width": 32,
    "head_width": 16,
    "inner": 64,
    "dropout": 0.1,
    "batch_size": 16,
    "learning_rate": 5e-3,
    "epochs": 6,
}


def shop(items=48, cold=8):
    """Things of four themes, people who stay with one; nobody has taken the last items yet."""
    rng = np.random.default_rng(0)
    titles = [f"{THEMES[n % 4]} number{n}" for n in range(items)]
    catalog = pl.DataFrame({"item_id": [f"i{n:02}" for n in range(items)], "title": titles})
    events = []
    for user in range(160):
        taken = rng.permutation(np.arange(user % 4, items - cold, 4))[:6]
        events += [(f"u{user}", f"i{n:02}", time) for time, n in enumerate(taken)]
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(frame, catalog, name="shop")


@pytest.fixture(scope="module")
def fitted():
    split = shop().split(itemlm.LeaveOneOut())
    recommender = itemlm.fit(
        "setrec", split.train, validation=split.validation, quiet=True, device="cpu", **SMALL
    )
    return split, recommender


def test_cold_items_are_ranked_by_their_texts(fitted):
    _, recommender = fitted
    cold = [f"i{n:02}" for n in range(40, 48)]
    chosen = float(recommender.model.beta)
    recommender.model.beta.fill_(0.5)  # validation questions may choose to look at events alone
    with torch.inference_mode():
        tokens_NQD = recommender.model.compute_items()
    assert torch.equal(tokens_NQD[40:, 0], tokens_NQD[40, 0].expand(8, -1))
    assert not torch.equal(tokens_NQD[40:, 1], tokens_NQD[40, 1].expand(8, -1))
    for theme in range(4):
        history = [f"i{n:02}" for n in range(theme, 12, 4)]
        slate = recommender.recommend(history, k=8, only=cold)
        # The two of the same theme first.
        assert {int(item[1:]) % 4 for item in slate.items[:2]} == {theme}
    recommender.model.beta.fill_(chosen)


def test_beta_is_the_best_one_on_validation_questions(fitted):
    split, recommender = fitted
    chosen = float(recommender.model.beta)
    found = {}
    for beta in BETAS:
        recommender.model.beta.fill_(beta)
        found[beta] = ndcg_at_10(recommender, split.validation)
    recommender.model.beta.fill_(chosen)
    assert round(chosen, 1) == max(found, key=lambda beta: found[beta])


def test_without_validation_questions_beta_stays():
    config = Config(**{**SMALL, "epochs": 1}, beta=0.2)
    run = Run(None, quiet=True, device="cpu")
    assert float(setrec.fit(shop(), config, run).model.beta) == pytest.approx(0.2)
