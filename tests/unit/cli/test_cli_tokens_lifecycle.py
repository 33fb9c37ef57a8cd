"""`itemlm tokenize append | refit | drift`, from one catalog to a larger one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.tokenize.published import Published


@pytest.fixture
def versions(itemlm, data):
    """Tokens of 70 of 80 films, and files of vectors for both catalogs."""
    whole = Dataset.load(data)
    vectors_ND = np.random.default_rng(0).normal(size=(80, 6))
    small = Dataset.from_frames(
        pl.DataFrame({"user_id": ["u", "v"] * 35, "item_id": whole.items.ids[:70]}),
        items=whole.catalog[:70],
    )
    small.save("small")
    place = whole.items.rows(small.items.ids.to_list())
    np.save("small.npy", vectors_ND[place])
    np.save("whole.npy", vectors_ND)
    sizes = ("--levels", "2", "--codes", "8")
    itemlm("tokenize", "fit", "small", "--encoder", "small.npy", *sizes, "--out", "tokens")
    return data


def test_append_keeps_published_ids(itemlm, itemlm_json, versions):
    result = itemlm(
        *("tokenize", "append", "tokens", "--data", versions, "--encoder", "whole.npy"),
        *("--out", "grown"),
    )
    assert "10 items got new Semantic IDs, 70 kept theirs." in result.stdout
    old, new = Published.load("tokens"), Published.load("grown")
    ids = old.items.ids.to_list()
    assert np.array_equal(new.codes_of(ids), old.codes_of(ids))
    assert new.items.ids.to_list() == Dataset.load(versions).items.ids.to_list()

    found = itemlm_json(
        *("tokenize", "drift", "tokens", "grown", "--data", versions, "--encoder", "whole.npy")
    )
    assert (found["known"], found["new"], found["changed"]) == (70, 10, 0)
    assert found["distance"][1] > 0
    assert "shift of prefixes" in itemlm("tokenize", "drift", "tokens", "grown").stdout


def test_refit_writes_a_map(itemlm, itemlm_json, versions):
    refit = ("tokenize", "refit", "tokens", "--data", versions, "--encoder", "whole.npy")
    found = itemlm_json(*refit, "--out", "anew", "--map", "changes.csv")
    assert (found["known"], found["new"]) == (70, 10)
    table = pl.read_csv("changes.csv")
    assert table.columns == ["item_id", "old", "new", "became"]
    counts = dict(table["became"].value_counts().iter_rows())
    assert counts["new"] == 10
    assert counts.get("changed", 0) == round(found["changed"] * 70)
    assert "known items have other codes" in itemlm(*refit, "--out", "anew").stdout


def test_lsa_fitted_anew_is_noticed(itemlm, data):
    sizes = ("--levels", "2", "--codes", "8")
    itemlm("tokenize", "fit", data, "--encoder", "collaborative", *sizes, "--out", "tokens")
    result = itemlm("tokenize", "append", "tokens", "--data", data, "--out", "x", exit_code=1)
    assert "vectors" in result.stderr
