"""Describe: what a catalog row reads like, by default and by template."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlm.data.dataset import Dataset
from itemlm.text.describe import default_template, describe, template_names
from itemlm.types import ConfigError, DataError, UnknownName

PRODUCTS = pl.DataFrame(
    {
        "item_id": ["B1", "B2"],
        "description": ["Shines.\n\nFor   weeks!", None],
        "brand": ["OPI", None],
        "title": ["Nail Lacquer &amp; Remover", "Comb"],
        "categories": [["Beauty", "Nails"], None],
        "tags": [["red", None, "gloss"], []],
        "parent_id": ["P1", "P2"],
        "image": ["a.jpg", "b.jpg"],
        "price": [3.5, 1.0],
        "year": [2011.0, None],
    }
)


def test_title_first_then_what_else_is_known_then_long_texts():
    assert describe(PRODUCTS) == [
        "Nail Lacquer & Remover. brand: OPI. categories: Beauty > Nails. tags: red, gloss. "
        "year: 2011. description: Shines. For weeks!",
        "Comb",
    ]


def test_the_default_template_can_be_printed_and_changed():
    assert default_template(PRODUCTS).splitlines() == [
        "{title}",
        "brand: {brand}",
        "categories: {categories}",
        "tags: {tags}",
        "year: {year}",
        "description: {description}",
    ]


def test_a_template_of_ones_own():
    template = "{title} by {brand}\nA product.\nprice {price}"
    assert describe(PRODUCTS, template) == [
        "Nail Lacquer & Remover by OPI. A product. price 3.5",
        "Comb by. A product. price 1",  # a line stays if one of its columns is known
    ]


def test_a_line_without_anything_known_is_left_out():
    assert describe(PRODUCTS, "{title}\nby {brand}")[1] == "Comb"
    assert describe(PRODUCTS, "{brand}") == ["OPI", ""]


def test_templates_by_name():
    assert template_names() == ["films", "products"]
    film = pl.DataFrame({"item_id": [1], "title": ["Heat (1995)"], "genres": ["Action|Crime"]})
    assert describe(film, "films") == ["film: Heat (1995). genres: Action, Crime"]
    product = "product: Nail Lacquer & Remover. by OPI. in Beauty > Nails"
    assert describe(PRODUCTS, "products")[0] == product


def test_several_category_paths():
    paths = [[["Beauty", "Nails"], ["Gifts"]]]
    table = pl.DataFrame({"item_id": [1], "categories": paths})
    assert describe(table) == ["categories: Beauty > Nails, Gifts"]


def test_unknown_names_get_the_nearest_valid_one():
    with pytest.raises(UnknownName, match=r"no catalog column 'brnd'\. Did you mean 'brand'"):
        describe(PRODUCTS, "{title} {brnd}")
    with pytest.raises(UnknownName, match=r"no template 'film'\. Did you mean 'films'"):
        describe(PRODUCTS, "film")


def test_what_cannot_be_described_is_a_sentence():
    bare = pl.DataFrame({"item_id": ["a"], "price": [1.0], "url": ["x"]})
    with pytest.raises(DataError, match=r"no text.*item_id, price, url"):
        describe(bare)
    with pytest.raises(ConfigError, match=r"no column in braces"):
        describe(PRODUCTS, "{title")
    with pytest.raises(ConfigError, match="limit is 0"):
        describe(PRODUCTS, limit=0)


def test_long_texts_end_with_a_whole_word():
    table = pl.DataFrame({"item_id": [1, 2], "title": ["red, green, blue", "incomprehensible"]})
    assert describe(table, limit=9) == ["red", "incompreh"]  # a first word has nowhere else to go
    assert describe(table, limit=11) == ["red, green", "incomprehen"]
    assert describe(table, limit=16) == ["red, green, blue", "incomprehensible"]


def test_a_dataset_and_a_catalog_read_like_their_table():
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["B1"]})
    dataset = Dataset.build(events, PRODUCTS, name="tiny")
    assert describe(dataset) == describe(PRODUCTS)
    assert describe(SimpleNamespace(table=PRODUCTS)) == describe(PRODUCTS)


@given(st.lists(st.none() | st.text(max_size=30), min_size=1, max_size=5), st.integers(1, 20))
def test_one_clean_text_per_item(titles, limit):
    table = pl.DataFrame(
        {"item_id": range(len(titles)), "title": titles, "kind": ["x"] * len(titles)},
        schema_overrides={"title": pl.String},
    )
    texts = describe(table, limit=limit)
    assert len(texts) == len(titles)
    for text in texts:
        assert len(text) <= limit
        assert text == " ".join(text.split())
