"""How to Index: the same prompts with items written in different ways."""

import polars as pl
import pytest

pytest.importorskip("transformers")

import itemlm
from itemlm.papers.generative.how_to_index import as_text, titles

TINY = {
    "width": 16,
    "blocks": 1,
    "heads": 2,
    "inner": 16,
    "vocabulary": 400,
    "epochs": 1,
    "length": 4,
    "beams": 4,
    "codes": 4,
}


def dataset():
    """Two groups of four items, never taken together; two items have the same title."""
    rows = [(u, 4 * (u % 2) + (u // 2 + s) % 4, s) for u in range(24) for s in range(3)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    catalog = pl.DataFrame(
        {
            "item_id": list(range(8)),
            "title": ["red soap", "red soap", "red", None, "oil [new]", "tea", "mug", "pot"],
            "categories": [["a"], ["a"], ["a"], ["a"], ["b"], ["b"], ["b"], ["b"]],
        }
    )
    return itemlm.Dataset.build(frame, catalog, name="groups")


def test_titles_are_told_apart_and_none_begins_another():
    found = titles(["red soap", "red soap", "red", None, "oil [new]"])
    assert found == ["[red soap]", "[red soap 2]", "[red]", "[untitled]", "[oil (new)]"]
    numbered = ["toy story", "toy story 2", "toy story", "toy story"]
    assert titles(numbered) == ["[toy story]", "[toy story 2]", "[toy story 3]", "[toy story 4]"]


def test_sequential_numbers_follow_training_histories():
    numbers = as_text("sequential", dataset(), seed=0)
    # User 0 takes items 0, 1, 2, and user 1 takes 4, 5, 6: these are met first, in this order.
    assert [numbers[row] for row in (0, 1, 2, 4, 5, 6)] == ["10", "11", "12", "13", "14", "15"]
    assert sorted(as_text("random", dataset(), seed=0)) == sorted(numbers)


@pytest.mark.parametrize(
    "tokenizer", ["random", "title", "independent", "sequential", "semantic", "collaborative"]
)
def test_any_index_can_be_learned_and_searched(tokenizer):
    model = itemlm.fit("how_to_index", dataset(), tokenizer=tokenizer, quiet=True, **TINY)
    assert sorted(model.recommend([], k=8).items) == list(range(8))


def test_items_of_a_cluster_share_their_first_token():
    settings = {**TINY, "tokenizer": "collaborative+independent"}
    model = itemlm.fit("how_to_index", dataset(), quiet=True, **settings)
    first, last = model.items.codes_NL[:, 0], model.items.codes_NL[:, -1]
    assert len(set(first[:4]) & set(first[4:])) == 0
    assert len(set(first)) < 8
    assert len(set(last)) == 8  # a token of its own for each
