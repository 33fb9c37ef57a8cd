"""The tree of codes and titles, as a person sees it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from itemlm.tokenize.browse import browse
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, DataError

TITLES = ["red polish", "blue polish", "[50ml] tonic", "green polish", "soap"]


def shop():
    return ItemTokens(np.array([[1, 0, 0], [1, 0, 1], [0, 2, 0], [1, 1, 0], [0, 1, 0]]), (2, 3, 2))


def shown(*args, **settings):
    text = io.StringIO()
    Console(file=text, width=60).print(browse(shop(), TITLES, *args, **settings))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_codes_with_the_most_items_come_first_and_titles_end_the_tree():
    assert shown() == [
        "all codes  5 items",
        "├── 1  3 items",
        "│   ├── 0  2 items",
        "│   │   ├── red polish",
        "│   │   └── blue polish",
        "│   └── 1  1 item",
        "│       └── green polish",
        "└── 0  2 items",
        "    ├── 1  1 item",
        "    │   └── soap",
        "    └── 2  1 item",
        "        └── [50ml] tonic",
    ]


def test_a_prefix_a_depth_and_a_limit_show_a_part():
    assert shown((1,), depth=1, limit=1) == [
        "1  3 items",
        "├── 0  2 items",
        "│   ├── red polish",
        "│   └── ... 1 more items",
        "└── ... 1 more codes",
    ]
    assert shown(depth=0, limit=2)[1:] == [
        "├── red polish",
        "├── blue polish",
        "└── ... 3 more items",
    ]


def test_a_whole_tuple_shows_its_item():
    assert shown((0, 2, 0)) == ["0 2 0  1 item", "└── [50ml] tonic"]


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ConfigError, match=r"no item has codes that begin with \(0, 0\)"):
        browse(shop(), TITLES, (0, 0))
    with pytest.raises(ConfigError, match=r"\(0, 0, 0, 0\) is longer than the 3 levels"):
        browse(shop(), TITLES, (0, 0, 0, 0))
    with pytest.raises(ConfigError, match=r"\(0, -1\) has a code below 0"):
        browse(shop(), TITLES, (0, -1))
    with pytest.raises(ConfigError, match="not 1, 0"):
        browse(shop(), TITLES, depth=1, limit=0)
    with pytest.raises(DataError, match="5 items but 4 titles"):
        browse(shop(), TITLES[:4])


def test_paths_that_end_early_show_their_item():
    tokens = ItemTokens(
        np.array([[0, 1, 0], [0, 1, 1], [0, 2, -1], [1, -1, -1], [2, 0, -1]]), (3,) * 3
    )
    text = io.StringIO()
    Console(file=text, width=60).print(browse(tokens, TITLES, depth=3))
    assert [line.rstrip() for line in text.getvalue().splitlines()] == [
        "all codes  5 items",
        "├── 0  3 items",
        "│   ├── 1  2 items",
        "│   │   ├── 0  1 item",
        "│   │   │   └── red polish",
        "│   │   └── 1  1 item",
        "│   │       └── blue polish",
        "│   └── 2  1 item",
        "│       └── [50ml] tonic",
        "├── 1  1 item",
        "│   └── green polish",
        "└── 2  1 item",
        "    └── soap",
    ]
    text = io.StringIO()
    Console(file=text, width=60).print(browse(tokens, TITLES, (1,), depth=3))
    assert text.getvalue().split("\n")[:2] == ["1  1 item", "└── green polish"]
