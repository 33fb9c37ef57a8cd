"""Phrases: what an item could be asked for by."""

import polars as pl

from itemlm.text.phrases import phrases


def test_parts_of_lists_and_ends_of_paths():
    table = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Red Ball", "Lamp", "Thing"],
            "brand": ["Acme", None, "Acme"],
            "categories": [["Toys", "Balls"], ["Home", "Light"], None],
            "themes": [["round", "red"], [], ["Acme"]],
            "description": ["It bounces.", None, "What it is nobody knows."],
            "slogan": ["the very best of all balls", "bright", None],
        }
    )
    assert phrases(table) == [["Acme", "Balls", "round", "red"], ["Light", "bright"], ["Acme"]]
