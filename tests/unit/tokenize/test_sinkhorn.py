"""Sinkhorn's prices: rows that all want one column are told apart by how much they want it."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize.sinkhorn import better_prices, even_prices

BIAS_K = np.array([0, 0.3, 0.1, 0.8, 0])


def test_those_who_lose_least_give_way():
    # All prefer column 0, by 1, 2, 3 and 4. Two of them have to leave, so a price difference
    # between 2 and 3 is right: the first two pay less in column 1.
    cost_MK = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0]])
    price_K = even_prices(cost_MK)
    assert 2 < price_K[0] - price_K[1] < 3
    assert (cost_MK + price_K).argmin(axis=1).tolist() == [1, 1, 0, 0]


def test_one_round_of_two_rows_by_hand():
    # Costs from 0 to 2, so epsilon = 1 halves of the range is 1: the kernel is exp(-cost).
    # Row scales: 1 / (2 (1 + e^-2)) for both. Column 0 receives 2 / (2 (1 + e^-2)), column 1 that
    # times e^-2; prices are the logarithms of twice what they receive.
    price_K = better_prices(np.array([[0.0, 2.0], [0.0, 2.0]]), np.zeros(2), 1.0, 1)
    received = 1 / (1 + np.exp(-2))
    assert price_K == pytest.approx([np.log(2 * received), np.log(2 * received * np.exp(-2))])


def test_prices_make_the_soft_choices_even():
    cost_MK = np.random.default_rng(0).random((60, 5)) + BIAS_K
    price_K = better_prices(cost_MK, np.zeros(5), 0.1, 50)
    soft_MK = np.exp(-(cost_MK + price_K) / (0.1 * np.ptp(cost_MK) / 2))
    share_K = (soft_MK / soft_MK.sum(axis=1, keepdims=True)).sum(axis=0)
    assert share_K == pytest.approx([12] * 5, rel=1e-3)


def test_prices_known_before_save_rounds():
    cost_MK = np.random.default_rng(1).random((60, 5)) + BIAS_K
    price_K = better_prices(cost_MK, np.zeros(5), 0.1, 200)
    again_K = better_prices(cost_MK, price_K, 0.1, 1)
    assert again_K - again_K[0] == pytest.approx(price_K - price_K[0], abs=1e-6)


def test_hard_choices_are_nearly_even_too():
    cost_MK = np.random.default_rng(2).random((200, 8)) + np.linspace(0, 1, 8)
    crowd_K = np.bincount((cost_MK + even_prices(cost_MK)).argmin(axis=1), minlength=8)
    assert np.bincount(cost_MK.argmin(axis=1)).max() > 60
    assert crowd_K.min() > 20
    assert crowd_K.max() < 30  # 25 each


def test_without_differences_there_are_no_prices():
    assert even_prices(np.ones((3, 2))).tolist() == [0, 0]
