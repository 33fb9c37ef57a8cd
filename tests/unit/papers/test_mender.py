"""Mender's idea: other words, other items, whatever was taken before."""

import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.papers.generative.mender import Config
from itemlm.types import ConfigError, Query

KINDS = ("coat", "lamp", "drum")
CATALOG = pl.DataFrame(
    {
        "item_id": [f"{kind}-{number}" for kind in KINDS for number in range(6)],
        "title": [f"{kind} number {number}" for kind in KINDS for number in range(6)],
        "kind": [kind for kind in KINDS for _ in range(6)],
    }
)
# Everybody takes six things, two kinds each, so that both kinds and refusals can be learned.
EVENTS = pl.DataFrame(
    [
        (f"u{user}", f"{KINDS[(user + step // 3) % 3]}-{(user * 5 + step) % 6}", step)
        for user in range(180)
        for step in range(6)
    ],
    schema=["user_id", "item_id", "timestamp"],
    orient="row",
)
DATA = itemlm.Dataset.build(EVENTS, CATALOG, name="things")
SMALL = {
    "tokenizer": "random",
    "levels": 1,
    "codes": 6,
    "length": 4,
    "width": 32,
    "blocks": 1,
    "head_width": 16,
    "inner": 32,
    "beams": 18,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "epochs": 12,
    "validate_every": 12,
    "steered": 0.4,
    "refused": 0.3,
    "none": 0.1,
}


def share_of(slate, kind):
    return sum(item.startswith(kind) for item in slate.items) / len(slate)


@pytest.mark.parametrize("reader", ["words", "vectors"])
def test_the_list_follows_the_words_and_not_the_history(reader, tmp_path):
    model = itemlm.fit("mender", DATA, quiet=True, device="cpu", reader=reader, **SMALL)
    history = ["coat-0", "coat-1", "coat-2"]
    queries = [Query(history=history, text=f"I am looking for {kind}.") for kind in KINDS]
    slates = model.recommend(queries, k=3)
    shares = [share_of(slate, kind) for slate, kind in zip(slates, KINDS, strict=True)]
    assert sum(shares) / 3 > 0.8  # whatever is asked, by chance 1/3
    for_it = model.recommend(Query(history=history, text="Find coat."), k=3)
    against = model.recommend(Query(history=history, text="Avoid coat."), k=3)
    assert share_of(for_it, "coat") > share_of(against, "coat")
    # Kept with all that it knows of words.
    model.save(tmp_path / "model")
    loaded = itemlm.load_recommender(tmp_path / "model")
    assert loaded.recommend(queries, k=6) == model.recommend(queries, k=6)


def test_a_language_model_may_read(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'llm'")
    small = SMALL | {"epochs": 1, "validate_every": 1}
    model = itemlm.fit("mender", DATA, quiet=True, device="cpu", reader="lm", **small)
    queries = [Query(history=["coat-0"], text=text) for text in ("Find lamp.", "Find drum.", None)]
    slates = model.recommend(queries, k=6)
    assert len({tuple(slate.scores) for slate in slates}) == 3  # the words are read
    model.save(tmp_path / "model")
    loaded = itemlm.load_recommender(tmp_path / "model")
    assert loaded.recommend(queries, k=6) == slates


def test_shares_that_are_too_large_are_a_sentence():
    with pytest.raises(ConfigError, match=r"together they are 1\.10"):
        Config(steered=0.5, refused=0.3, none=0.3)
