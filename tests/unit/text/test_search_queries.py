"""Search queries by hand: of what words they are made, and that they repeat."""

from __future__ import annotations

import polars as pl

from itemlm.text.search_queries import Searches, search_queries
from itemlm.text.word_rows import WordRows

CATALOG = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Classic Red Nail Lacquer", "Boots", None],
        "brand": ["OPI", None, None],
        "categories": [["Beauty", "Makeup", "Nail Polish"], ["Shoes"], None],
    }
)


def test_queries_hold_words_of_the_title_and_names_of_the_item() -> None:
    lacquer, boots, nothing = search_queries(CATALOG, 30, seed=0)
    known = {"classic", "red", "nail", "lacquer", "opi", "polish"}
    assert all(set(query.split()) <= known for query in lacquer)
    assert {"opi nail polish", "nail polish opi"} & set(lacquer)  # two names
    assert {"red nail", "classic red nail lacquer"} & set(lacquer)  # next to each other
    assert any(query.startswith("opi ") and query.endswith("lacquer") for query in lacquer)
    assert "classic lacquer" not in lacquer  # words of a title alone are neighbors
    assert set(boots) <= {"boots", "shoes boots", "shoes"}
    assert nothing == []


def test_queries_are_different_and_the_same_for_a_seed() -> None:
    once, again = (search_queries(CATALOG, 8, seed=3) for _ in range(2))
    assert once == again
    assert len(set(once[0])) == 8
    assert search_queries(CATALOG, 8, seed=4) != once
    # More of them begin with the same ones.
    assert search_queries(CATALOG, 12, seed=3)[0][:8] == once[0]


def test_searches_know_what_was_meant() -> None:
    searches = Searches.of([["red lacquer", "opi"], [], ["boots"]])
    assert searches.texts == ["red lacquer", "opi", "boots"]
    assert searches.meant_Q.tolist() == [0, 0, 2]


def test_word_rows_know_frequent_words() -> None:
    words = WordRows.learned(["red hat", "Red coat", "blue coat", "red"], most=2)
    assert words.known == ["red", "coat"]  # three times and twice; the others once
    assert words.rows(["coat blue RED", "", "hat"], limit=5).tolist() == [[1, 0], [2, 2], [2, 2]]
    assert words.rows(["red coat red"], limit=2).tolist() == [[0, 1]]
    assert WordRows.restored(words.document()).known == ["red", "coat"]
