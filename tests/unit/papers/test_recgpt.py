"""RecGPT: a wide beam is exact, and another catalog is answered without learning."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.sample.next_items import SequenceBatch

THEMES = ["garden spade plant", "kitchen pan cook", "music guitar string", "sport ball field"]
TRAITS = ["red", "blue", "soft", "tiny", "round", "flat", "warm", "cold"]


def shop(seed, prefix, items=60):
    """A catalog of things of four themes, and people who stay with one."""
    rng = np.random.default_rng(seed)
    titles = [f"{rng.choice(TRAITS)} {THEMES[n % 4]} {rng.choice(TRAITS)}" for n in range(items)]
    catalog = pl.DataFrame({"item_id": [f"{prefix}{n}" for n in range(items)], "title": titles})
    events = []
    for user in range(150):
        taken = rng.permutation(np.arange(user % 4, items, 4))[:6]
        events += [(f"u{user}", f"{prefix}{n}", time) for time, n in enumerate(taken)]
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(frame, catalog, name=prefix)


SMALL = {
    "levels": 2,
    "codes": 240,
    "width": 32,
    "blocks": 1,
    "head_width": 16,
    "inner": 64,
    "length": 6,
    "batch_size": 16,
    "dropout": 0.1,
    "learning_rate": 5e-3,
    "epochs": 8,
    "beams": 40,
}


@pytest.fixture(scope="module")
def fitted():
    return itemlm.fit("recgpt", shop(1, "a"), quiet=True, device="cpu", **SMALL)


def test_a_wide_beam_is_the_exact_sum_of_the_codes(fitted):
    slate = fitted.recommend(["a3", "a4"], k=38)
    rows, lengths = np.array([[3, 4]]), torch.tensor([2])
    batch = SequenceBatch(torch.from_numpy(rows), lengths, torch.full((1, 2), -1))
    with torch.inference_mode():
        first, written = fitted.model.read(batch, 1)
    log = [logits[0, 0].log_softmax(0).numpy() for logits in (first, *written.coming)]
    score_N = sum(log_V[codes_N] for log_V, codes_N in zip(log, fitted.codes_NL.T, strict=True))
    score_N[[3, 4]] = -np.inf
    assert slate.scores == pytest.approx(np.sort(score_N)[::-1][:38].tolist(), rel=1e-4)


def test_another_catalog_is_answered_without_learning(fitted, tmp_path):
    other = shop(2, "b")
    before = {name: part.clone() for name, part in fitted.model.state_dict().items()}
    moved = fitted.onto(other)
    items = other.items.ids.to_list()
    hits = []
    for theme in range(4):
        history = items[theme::4][:3]
        slate = moved.recommend(history, k=5)
        assert set(slate.items) <= set(items) - set(history)
        hits += [items.index(item) % 4 == theme for item in slate.items]
    assert np.mean(hits) > 0.7  # by chance a quarter
    # Nothing of the first model has changed, and what was moved can be kept.
    for name, part in fitted.model.state_dict().items():
        assert torch.equal(part, before[name])
    moved.save(tmp_path / "moved")
    loaded = itemlm.load_recommender(tmp_path / "moved")
    assert loaded.recommend(["b1", "b2"], k=5) == moved.recommend(["b1", "b2"], k=5)


def test_the_same_catalog_gets_the_same_codes_again(fitted):
    again = fitted.onto(shop(1, "a"))
    assert (again.codes_NL[:, :2] == fitted.codes_NL[:, :2]).all()
    assert not again.model.items.are_known
