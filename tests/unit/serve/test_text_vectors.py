"""Text vectors: made once, kept for the next start, and made for what arrives in the same way."""

import numpy as np
import polars as pl
import pytest

from itemlm.serve.text_vectors import TextVectors

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["red shoe", "blue shoe", "green hat", None],
        "brand": ["Acme", "Acme", "Apex", None],
    }
)


@pytest.fixture
def made(tmp_path):
    return TextVectors.of(TABLE, "lsa", tmp_path)


def test_alike_in_words_is_close(made):
    assert np.linalg.norm(made.vectors_ND, axis=1) == pytest.approx([1, 1, 1, 0])
    close = made.vectors_ND @ made.vectors_ND.T
    assert close[0, 1] > close[0, 2]


def test_what_arrives_is_encoded_as_what_was_there(made):
    np.testing.assert_allclose(made.encode(TABLE), made.vectors_ND, atol=1e-6)
    fewer = TABLE.select("item_id", "title")  # of another shape: a column less, a column more
    more = TABLE.with_columns(price=pl.lit(5))
    assert made.encode(fewer).shape == made.vectors_ND.shape
    np.testing.assert_allclose(made.encode(more), made.vectors_ND, atol=1e-6)
    assert made.of_texts(["nothing of it is known"]).shape == (1, made.vectors_ND.shape[1])


def test_the_next_start_gets_the_same_also_from_damaged_files(made, tmp_path):
    again = TextVectors.of(TABLE, "lsa", tmp_path)
    np.testing.assert_array_equal(again.vectors_ND, made.vectors_ND)
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        file.write_bytes(b"")
    again = TextVectors.of(TABLE, "lsa", tmp_path)
    np.testing.assert_allclose(again.vectors_ND, made.vectors_ND, atol=1e-6)


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame({"item_id": [1, 2], "price": [1.0, 2.0]}),
        pl.DataFrame({"item_id": [1, 2], "title": ["!", "?"]}),
    ],
    ids=["no text", "no word"],
)
def test_without_words_there_are_none(table, tmp_path):
    assert TextVectors.of(table, "lsa", tmp_path) is None
