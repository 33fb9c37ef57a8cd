"""Semantic pieces: what an item is made of, and what that means for an item that nobody took."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

import itemlm
from itemlm.papers.generative.semantic_pieces import Config, features
from itemlm.train.run import Run
from itemlm.types import ConfigError

WORDS = ("red hat", "red coat", "blue hat", "blue coat", "green shoe", "green boot")


def shop() -> itemlm.Dataset:
    """Twelve items with titles, of which the last one has no event."""
    titles = [f"{word} {size}" for word in WORDS for size in ("small", "large")]
    catalog = pl.DataFrame({"item_id": [f"i{n:02}" for n in range(12)], "title": titles})
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{n:02}", t) for u in range(40) for t, n in enumerate(rng.permutation(11))]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return itemlm.Dataset.build(log, catalog, name="shop")


SMALL = {"levels": 2, "codes": 3, "rows": 30, "width": 8, "epochs": 2, "length": 5}


def rows_of(**settings: object) -> np.ndarray:
    return features(shop(), Config(**{**SMALL, **settings}), Run(quiet=True, device="cpu"))


def test_the_table_has_as_many_rows_for_every_kind_of_feature() -> None:
    for kind in ("pieces", "ngrams", "hashed"):
        assert rows_of(features=kind).max() < 30
    assert rows_of(features="ids").tolist() == [[n] for n in range(12)]


def test_two_codes_in_a_row_are_one_feature_of_bigrams() -> None:
    assert rows_of(features="ngrams", n=1).shape == (12, 3)  # two codes, and the one that tells
    assert rows_of(features="ngrams", n=2).shape == (12, 2)  # items apart


def test_an_item_that_nobody_took_is_made_of_rows_that_others_learned() -> None:
    model = itemlm.fit("semantic_pieces", shop(), quiet=True, device="cpu", **SMALL)
    items = model.model.items  # type: ignore[attr-defined]
    own = items.rows_NG[11]
    own = own[own < 30]
    others = set(items.rows_NG[:11].flatten().tolist())
    assert set(own.tolist()) & others  # single codes at least are shared
    expected = items.table.weight[own].sum(0)
    assert torch.allclose(model.model.item_vectors()[11], expected)  # type: ignore[attr-defined]


def test_too_few_rows_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="4 levels of 256 codes are 1024 pieces"):
        Config(rows=1000)
    assert Config(rows=1000, features="ngrams").rows == 1000
