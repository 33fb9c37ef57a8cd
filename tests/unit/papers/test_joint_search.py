"""Joint search: one generator asked by history, by text, by both and by neither."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm import Query
from itemlm.papers.generative.joint_search import Config, item_codes, tuned_vectors
from itemlm.text.search_queries import searches_of
from itemlm.train.run import Run

COLORS, THINGS = ("red", "blue", "green", "white"), ("hat", "coat", "boot", "scarf", "glove")
NAMES = [f"{color} {thing}" for color in COLORS for thing in THINGS]


def shop() -> itemlm.Dataset:
    """Twenty items; people take all things of one color, one after the other.

    But after red hat, coat and boot, half of the people who had them take a blue boot.
    """
    catalog = pl.DataFrame({"item_id": [f"i{n:02}" for n in range(20)], "title": NAMES})
    rows = [
        (f"u{user}", f"i{5 * (user % 4) + (user // 4 + step) % 5:02}", step)
        for user, step in itertools.product(range(80), range(4))
    ]
    rows += [
        (f"u{user}-{last}", item, step)
        for user, last in itertools.product(range(80, 100), ("i03", "i07"))
        for step, item in enumerate(["i00", "i01", "i02", last])
    ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(log, catalog, name="shop")


SMALL = {
    "queries": 3,
    "levels": 2,
    "codes": 6,
    "tune_epochs": 1,
    "tune_batch": 32,
    "tune_inner": 16,
    "width": 32,
    "blocks": 2,
    "head_width": 16,
    "inner": 64,
    "dropout": 0.0,
    "length": 6,
    "beams": 20,
    "batch_size": 16,
    "learning_rate": 5e-3,
    "personal": 0.9,
    "epochs": 25,
    "validate_every": 25,
}


@pytest.fixture(scope="module", params=["both_tasks", "separate"])
def model(request: pytest.FixtureRequest):
    return itemlm.fit(
        "joint_search", shop(), vectors=request.param, quiet=True, device="cpu", **SMALL
    )


def test_it_finds_what_is_searched_for_and_recommends_what_comes_next(model) -> None:
    by_name = {name: f"i{n:02}" for n, name in enumerate(NAMES)}
    found = [model.recommend(Query(text=name), k=1).items == [by_name[name]] for name in NAMES]
    assert np.mean(found) > 0.8
    # Of green things a person took the first three: the next is the fourth.
    assert model.recommend(["i10", "i11", "i12"], k=1).items == ["i13"]


def test_a_search_after_a_history_finds_what_is_searched_for(model) -> None:
    history = ["i00", "i01", "i02"]  # which may go on with either
    for text, wanted in (("red scarf", "i03"), ("blue boot", "i07")):
        assert model.recommend(Query(history=history, text=text), k=1).items == [wanted]


def test_without_words_that_are_known_only_the_history_counts(model) -> None:
    history = ["i05", "i06"]
    plain = model.recommend(history, k=4)
    for text in ("", "zebra", None):
        assert model.recommend(Query(history=history, text=text), k=4).items == plain.items
    assert len(model.recommend(Query(), k=4).items) == 4


def test_questions_of_all_kinds_together_equal_each_alone(model) -> None:
    asked = [
        Query(text="red hat"),
        Query(history=["i05", "i06"]),
        Query(),
        Query(history=["i10"], text="green boot"),
    ]
    for query, slate in zip(asked, model.recommend(asked, k=5), strict=True):
        alone = model.recommend(query, k=5)
        assert alone.items == slate.items
        assert alone.scores == pytest.approx(slate.scores, rel=1e-4, abs=1e-5)


def test_filters_and_seen_items_hold_for_searches(model) -> None:
    assert "i00" not in model.recommend(Query(text="red hat"), k=19, without=["i00"]).items
    seen = model.recommend(Query(text="red hat", history=["i00"]), k=19)
    assert "i00" not in seen.items


def test_separate_codes_never_meet() -> None:
    dataset = shop()
    config = Config(**{**SMALL, "vectors": "separate"})
    codes = item_codes(dataset, searches_of(dataset, 3, 0), config, Run(quiet=True, device="cpu"))
    own, found = codes.codes_NL[:20], codes.codes_NL[20:]
    assert len(found) == 20
    for level in range(3):
        assert own[:, level].max() < found[:, level].min()
        assert found[:, level].max() < codes.levels[level]


def test_vectors_of_both_tasks_can_be_put_together_afterwards() -> None:
    dataset, run = shop(), Run(quiet=True, device="cpu")
    searches = searches_of(dataset, 3, 0)
    search, behavior = (
        tuned_vectors(dataset, searches, kind, Config(**SMALL), Run(quiet=True, device="cpu"))
        for kind in ("search", "recommendation")
    )
    joined = tuned_vectors(dataset, searches, "concatenated", Config(**SMALL), run)
    # Both have length 1, so that side by side each counts for half of the square.
    expected = np.hstack([search, behavior]) / np.sqrt(2)
    assert np.allclose(joined, expected, atol=1e-5)
