"""Attributes: which values of a catalog become numbers, worked by hand."""

import polars as pl

from itemlm.encode.attributes import Attributes


def test_values_that_items_share_get_numbers():
    table = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "brand": ["Acme", "Acme", "Apex"],  # Apex has one item: says nothing of others
            "genres": [["noir", "drama"], ["drama"], None],
            "price": [1.0, 1.0, 1.0],  # no text
        }
    )
    found = Attributes.of(table)
    # "brand: Acme" and "genres: drama" are shared, in the order of the catalog.
    assert found.count == 2
    assert found.offsets.tolist() == [0, 2, 4, 4]
    assert found.values.tolist() == [0, 1, 0, 1]


def test_a_step_of_a_path_is_known_by_all_that_leads_to_it():
    table = pl.DataFrame(
        {
            "item_id": [1, 2, 3],
            "categories": [
                [["Beauty", "Nails"]],
                [["Beauty", "Nails"], ["Gifts"]],
                [["Tools", "Nails"]],
            ],
        }
    )
    found = Attributes.of(table)
    # Shared: "Beauty" and "Beauty > Nails". Nails among tools are another thing.
    assert found.count == 2
    assert found.offsets.tolist() == [0, 2, 4, 4]


def test_a_catalog_that_says_nothing_has_one_unused_value():
    found = Attributes.of(pl.DataFrame({"item_id": [1, 2]}))
    assert found.count == 1
    assert found.offsets.tolist() == [0, 0, 0]
