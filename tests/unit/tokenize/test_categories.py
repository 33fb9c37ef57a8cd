"""Category paths of a small shop."""

from __future__ import annotations

import polars as pl
import pytest

from itemlm.tokenize.categories import category_names, category_paths
from itemlm.tokenize.paths import with_last_codes
from itemlm.types import DataError, UnknownName

SHOP = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d", "e"],
        "categories": [
            ["Beauty", "Hair", "Women"],
            ["Beauty", "Hair"],
            ["Beauty", "Scent", "Women"],
            None,
            ["Beauty", "Hair", "Women"],
        ],
        "genre": ["x|y", "x", "z", "", None],
    }
)


def test_what_all_items_share_is_left_out():
    names = category_names(SHOP)
    assert names == [("Hair", "Women"), ("Hair",), ("Scent", "Women"), (), ("Hair", "Women")]


def test_a_code_stands_for_a_name_on_its_level():
    paths_NS, sizes = category_paths(SHOP)
    assert paths_NS.tolist() == [[0, 0], [0, -1], [1, 0], [-1, -1], [0, 0]]
    assert sizes == [2, 1]
    tokens = with_last_codes(paths_NS, sizes, seed=0)
    assert sorted(tokens.codes_NL[[0, 4]].tolist()) == [[0, 0, 0], [0, 0, 1]]
    assert tokens.codes_NL[1].tolist() == [0, 1, -1]  # 0 is Women there
    assert tokens.codes_NL[3].tolist() == [2, -1, -1]  # of no category


def test_text_is_taken_apart():
    assert category_names(SHOP, "genre") == [("x", "y"), ("x",), ("z",), (), ()]
    arrows = pl.DataFrame({"category": ["A > B", "A > C > D"]})
    assert category_names(arrows) == [("B",), ("C", "D")]


def test_of_several_paths_the_first_counts_and_depth_has_an_end():
    several = pl.DataFrame({"Categories": [[["a", "b"], ["c"]], [["d"]]]})
    assert category_names(several) == [("a", "b"), ("d",)]
    deep = pl.DataFrame({"genres": [list("abcdefgh"), list("xbcdefgh")]})
    assert category_names(deep) == [tuple("abcde"), tuple("xbcde")]


def test_one_category_for_all_is_kept():
    # A path may not vanish: something must come before the last code, or nothing was said.
    assert category_names(pl.DataFrame({"genre": ["x", "x"]})) == [("x",), ("x",)]


def test_columns_that_cannot_be_used_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'genre'"):
        category_names(SHOP, "genres")
    with pytest.raises(DataError, match="no column of categories"):
        category_names(SHOP.select("item_id"))
    with pytest.raises(DataError, match="holds 7"):
        category_names(pl.DataFrame({"genre": [7]}))
