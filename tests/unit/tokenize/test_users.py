"""User codes: means of what was taken, and codes that people may share."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.data.sequences import Sequences
from itemlm.tokenize.users import mean_vectors, user_codes
from itemlm.types import DataError


def test_means_of_directions_by_hand():
    # Users: items 0 and 1; item 1 twice and 2; nothing. Item 1 points as (0, 1) does.
    sequences = Sequences(
        offsets=np.array([0, 2, 5, 5]),
        item_rows=np.array([0, 1, 1, 1, 2]),
        timestamps=None,
        values=None,
    )
    vectors_ND = np.array([[1.0, 0.0], [0.0, 7.0], [-3.0, 0.0]])
    mean_UD = mean_vectors(sequences, vectors_ND)
    np.testing.assert_allclose(mean_UD, [[0.5, 0.5], [-1 / 3, 2 / 3], [0, 0]], rtol=1e-6)


def test_alike_users_share_codes_and_unknown_ones_have_none():
    taste_UD = np.eye(4)[[0, 0, 1, 2, 2, 3]]
    taste_UD = np.vstack([taste_UD, np.zeros(4)])
    codes_US, quantizer = user_codes(taste_UD, levels=2, codes=4, seed=0)
    assert codes_US.shape == (7, 2)
    first_U = codes_US[:, 0]
    assert first_U[0] == first_U[1]
    assert first_U[3] == first_U[4]
    assert len(set(first_U[:6].tolist())) == 4
    assert codes_US[6].tolist() == [-1, -1]
    assert np.array_equal(quantizer.codes(taste_UD[:6]), codes_US[:6])  # later users too


def test_no_user_with_a_vector_is_a_sentence():
    with pytest.raises(DataError, match="no user has a vector"):
        user_codes(np.zeros((3, 2)), 2, 4, 0)
