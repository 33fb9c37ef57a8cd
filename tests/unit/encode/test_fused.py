"""Fused vectors and vectors by name: sums by hand, and sentences for files that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.data.world import world
from itemlm.encode.by_name import vectors_of
from itemlm.encode.fused import added, concatenated
from itemlm.types import ConfigError, DataError


@pytest.fixture(scope="module")
def data():
    return world(users=60, items=40).dataset


def test_side_by_side_by_hand():
    # (3, 4) and (0, 2) become (.6, .8) and (0, 1), together of length sqrt(2); the second item has
    # nothing in the first set, so all of it is in the second.
    first, second = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [-1.0, 0.0]])
    half = np.sqrt(0.5)
    fused_ND = concatenated([first, second])
    np.testing.assert_allclose(
        fused_ND, [[0.6 * half, 0.8 * half, 0, half], [0, 0, -1, 0]], rtol=1e-6
    )
    assert fused_ND.dtype == np.float32
    # Twice the weight, four times the part of the products: 1 / 5 and 4 / 5.
    np.testing.assert_allclose(
        np.square(concatenated([first, second], [1, 2]))[0, 2:].sum(), 4 / 5, rtol=1e-6
    )


def test_adding_by_hand():
    # Of equal width: directions are added. (1, 0) + (0, 1) is (1, 1) / sqrt(2).
    np.testing.assert_allclose(
        added([np.array([[2.0, 0.0]]), np.array([[0.0, 3.0]])]), [[0.5**0.5, 0.5**0.5]], rtol=1e-6
    )
    # The wider set varies along its third value alone, so that is what is added.
    wide, narrow = np.array([[0.0, 0.0, 5.0], [0.0, 0.0, -5.0]]), np.array([[1.0], [1.0]])
    assert added([wide, narrow])[:, 0].tolist() == [1, 0]  # 1 + 1 and -1 + 1


def test_sets_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="of the same items"):
        concatenated([np.eye(2), np.eye(3)])
    with pytest.raises(ConfigError, match="as many positive weights"):
        concatenated([np.eye(2), np.eye(2)], [1.0])


def test_names_joined_by_plus_are_put_side_by_side(data):
    text, behavior = vectors_of(data, "lsa"), vectors_of(data, "collaborative")
    np.testing.assert_allclose(
        vectors_of(data, "lsa+collaborative"), concatenated([text, behavior]), atol=1e-6
    )


def test_vectors_from_a_file(data, tmp_path):
    vectors_ND = np.random.default_rng(0).normal(size=(40, 5))
    path = tmp_path / "mine.npy"
    np.save(path, vectors_ND)
    np.testing.assert_array_equal(vectors_of(data, str(path)), vectors_ND.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((39, 5)), "holds 39 vectors, but the catalog has 40 items"),
        (np.zeros(40), "must hold a matrix of numbers, one row per item"),
        (
            np.full((40, 2), np.nan),
            "40 of the 40 vectors in .* hold NaN or infinity, first in row 0",
        ),
        (None, "cannot be read as a NumPy file"),
    ],
)
def test_files_that_do_not_fit_get_a_sentence(content, words, data, tmp_path):
    path = tmp_path / "mine.npy"
    if content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=words):
        vectors_of(data, str(path))
