"""Uniform semantic mapping: who moves, who stays, and who cannot be told apart."""

from __future__ import annotations

import numpy as np

from itemlm.tokenize.uniform import spread_by_sinkhorn

FIRST, LAST = np.array([[0.0], [10.0]]), np.array([[0.0], [1.0]])


def spread(latent_N, codes_NS):
    latent_NH = np.array(latent_N)[:, None]
    return spread_by_sinkhorn(np.array(codes_NS), lambda rows: latent_NH[rows], (FIRST, LAST), 0)


def test_the_item_that_loses_least_moves():
    # Residuals .1 and .4 are both nearest to 0. In column 1 the first costs .81 in place of .01,
    # the second .36 in place of .16: the second moves.
    assert spread([0.1, 0.4], [[0, 0], [0, 0]]).tolist() == [[0, 0], [0, 1]]
    # The same beneath the other first code, whose word is taken away before.
    assert spread([10.1, 10.4], [[1, 0], [1, 0]]).tolist() == [[1, 0], [1, 1]]


def test_items_that_do_not_tie_stay():
    assert spread([0.1, 0.9, 10.1], [[0, 0], [0, 1], [1, 0]]).tolist() == [[0, 0], [0, 1], [1, 0]]


def test_equal_items_choose_alike():
    codes_NS = spread([0.2, 0.2], [[0, 0], [0, 0]])
    assert codes_NS[0].tolist() == codes_NS[1].tolist()
