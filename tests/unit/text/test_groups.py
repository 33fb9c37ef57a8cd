"""Attributes and groups: what several items share."""

import polars as pl
import pytest

from itemlm.text.groups import attributes, groups
from itemlm.types import DataError, UnknownName

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d", "e"],
        "title": ["one", "one", "two", "three", "four"],
        "price": [1, 1, 2, 2, 3],
        "brand": ["Acme", "Acme", None, "Bell", ""],
        "categories": [
            ["All", "Hats"],
            ["All", "Hats"],
            ["All", "Shoes"],
            ["All"],
            ["All", "Shoes"],
        ],
    }
)


def test_attributes_are_values_that_items_share():
    found = attributes(TABLE)
    assert list(found) == ["brand", "categories"]
    assert found["brand"] == [("Acme",), ("Acme",), (), ("Bell",), ()]
    assert found["categories"][0] == ("All", "Hats")


def test_groups_are_large_but_not_everybody():
    cut = groups(TABLE, most=3)
    assert cut.column == "categories"  # whose groups hold four of five items; Acme holds two
    assert cut.names == ("Hats", "Shoes", "others")  # All says nothing
    assert cut.of_item_N.tolist() == [0, 0, 1, 2, 1]
    assert groups(TABLE, most=2, column="categories").names == ("Hats", "others")
    assert groups(TABLE, most=9, column="brand").names == ("Acme", "Bell", "others")


def test_no_groups_is_a_sentence():
    with pytest.raises(UnknownName, match="brand, categories"):
        groups(TABLE, 3, "colour")
    with pytest.raises(DataError, match="no column whose values divide items"):
        groups(TABLE.select("item_id", "title"), 3)
