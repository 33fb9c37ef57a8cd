"""Titles as paths."""

from __future__ import annotations

import polars as pl
import pytest

from itemlm.tokenize.titles import title_tokens, titles_of
from itemlm.types import ConfigError, DataError


def test_titles_are_spelled_and_end():
    tokens = title_tokens(["red red soap", "red", "soap red", None], size=100, seed=0)
    # Pieces in order: red 0, soap 1; the end is 2.
    assert tokens.codes_NL.tolist() == [
        [0, 0, 1, 2],
        [0, 2, -1, -1],
        [1, 0, 2, -1],
        [2, -1, -1, -1],
    ]
    assert tokens.shared
    assert tokens.levels == (3,) * 4


def test_equal_titles_end_differently():
    tokens = title_tokens(["soap", "Soap!", "soap", "wax"], size=100, seed=0)
    assert sorted(tokens.codes_NL[:3].tolist()) == [[0, 2], [0, 3], [0, 4]]
    assert tokens.codes_NL[3].tolist() == [1, 2]


def test_long_titles_are_cut_and_told_apart():
    tokens = title_tokens(["a b c d", "a b c e"], size=100, seed=0, limit=3)
    assert sorted(tokens.codes_NL.tolist()) == [[0, 1, 2, 3], [0, 1, 2, 4]]


def test_what_has_no_words_is_refused():
    with pytest.raises(DataError, match="none of the 2 titles has a word"):
        title_tokens(["...", None], size=10, seed=0)
    with pytest.raises(ConfigError, match="limit is 0"):
        title_tokens(["a"], size=10, seed=0, limit=0)
    with pytest.raises(DataError, match="no column of titles"):
        titles_of(pl.DataFrame({"item_id": ["a"]}))
    assert titles_of(pl.DataFrame({"item_id": ["a", "b"], "Name": ["x", None]})) == ["x", None]
