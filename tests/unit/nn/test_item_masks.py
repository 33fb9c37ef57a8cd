"""Masks of items that are several tokens, written out."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.item_masks import blockwise_causal, blockwise_causal_alone


def test_two_items_of_two_tokens():
    # Rows look, columns are looked at. Inside an item both ways, between items only back.
    assert blockwise_causal(2, 2).long().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 1],
        [1, 1, 1, 1],
    ]
    # Inside an item only at oneself.
    assert blockwise_causal_alone(2, 2).long().tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 0, 1],
    ]
