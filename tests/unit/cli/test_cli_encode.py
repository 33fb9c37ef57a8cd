"""`itemlm encode`: a file of vectors."""

from __future__ import annotations

import numpy as np

from itemlm.data.dataset import Dataset


def test_vectors_are_saved_one_row_per_item(itemlm, data, tmp_path):
    result = itemlm("encode", data, "--out", "deep/vectors.npy")
    vectors_ND = np.load(tmp_path / "deep" / "vectors.npy", allow_pickle=False)
    assert len(vectors_ND) == len(Dataset.load(data).items) == 80
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1, rtol=1e-5)
    assert "80 items" in result.stdout
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["vectors.npy"]


def test_close_items_are_shown_as_an_example(itemlm, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\na,2\nb,1\nb,3\n")
    words = {1: "cats purr", 2: "dogs bark", 3: "cats meow", 4: "dogs growl", 5: "fish swim"}
    rows = "".join(f"{item},{text}\n" for item, text in words.items())
    (tmp_path / "items.csv").write_text("item,title\n" + rows)
    result = itemlm("encode", "log.csv", "--items", "items.csv", "--out", "v.npy")
    assert "cats purr: cats meow, " in result.stdout


def test_an_item_that_nothing_describes_is_a_mistake_that_is_explained(itemlm, tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,1\na,2\nb,1\nb,3\n")
    result = itemlm("encode", "log.csv", "--out", "v.npy", exit_code=1)
    assert "no text to describe items with" in result.stderr


def test_a_file_of_another_kind_is_not_overwritten(itemlm, data, tmp_path):
    (tmp_path / "items.csv").write_text("mine")
    result = itemlm("encode", data, "--out", "items.csv", exit_code=1)
    assert "does not end in .npy" in result.stderr
    assert (tmp_path / "items.csv").read_text() == "mine"


def test_what_is_no_model_cannot_be_exported(itemlm, tmp_path):
    result = itemlm("export-encoder", tmp_path, "--out", "out", exit_code=1)
    assert "it has no config.json" in result.stderr
    assert not (tmp_path / "out").exists()
