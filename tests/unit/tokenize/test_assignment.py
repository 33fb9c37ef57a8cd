"""Assignment: by hand, and against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from itemlm.tokenize.assignment import cheapest_assignment


def test_the_greedy_choice_is_not_always_the_cheapest():
    # Row 0 in its best column leaves 9 to row 1: 1 + 9 = 10. The other way: 2 + 1 = 3.
    assert cheapest_assignment(np.array([[1, 2], [1, 9]])).tolist() == [1, 0]


def test_one_row_takes_its_cheapest_column():
    assert cheapest_assignment(np.array([[3.0, -1.0, 2.0]])).tolist() == [1]


@settings(deadline=None)  # the first example imports scipy
@given(
    st.integers(1, 7).flatmap(
        lambda rows: st.integers(rows, 9).flatmap(
            lambda columns: arrays(np.int64, (rows, columns), elements=st.integers(-4, 4))
        )
    )
)
def test_as_cheap_as_scipy(cost_MK):
    optimize = pytest.importorskip("scipy.optimize", reason="the oracle is scipy's")
    columns = cheapest_assignment(cost_MK)
    assert len(set(columns.tolist())) == len(cost_MK)
    least = cost_MK[optimize.linear_sum_assignment(cost_MK)].sum()
    assert cost_MK[np.arange(len(cost_MK)), columns].sum() == least


def test_a_whole_codebook_of_near_copies():
    optimize = pytest.importorskip("scipy.optimize", reason="the oracle is scipy's")
    rng = np.random.default_rng(0)
    cost_MK = rng.normal(size=(128, 1)) * rng.normal(size=128) + 0.1 * rng.normal(size=(128, 128))
    columns = cheapest_assignment(cost_MK)
    least = cost_MK[optimize.linear_sum_assignment(cost_MK)].sum()
    assert cost_MK[np.arange(128), columns].sum() == pytest.approx(least)
