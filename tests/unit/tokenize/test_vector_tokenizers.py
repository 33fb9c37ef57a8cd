"""Tokenizers of vectors by name: what all of them keep to."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from itemlm.data.world import world
from itemlm.encode.by_name import vectors_of
from itemlm.tokenize.by_name import Material, item_tokens

NAMES = ("residual_kmeans", "balanced_kmeans", "pq", "opq")
LEARNED = ("rqvae", "rqvae_rotated", "rqvae_uniform", "letter")


@pytest.fixture(scope="module")
def material():
    dataset = world(users=120, items=90).dataset
    vectors_ND = vectors_of(dataset, "lsa")
    return Material(dataset=dataset, vectors=lambda: vectors_ND, levels=2, codes=8, seed=0)


@pytest.mark.parametrize("name", NAMES + LEARNED)
def test_codes_are_unique_used_and_open_to_new_items(name, material):
    if name in LEARNED:
        pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none may collapse
        tokens = item_tokens(name, material)
    assert tokens.levels[:-1] == (8, 8)
    assert tokens.decode(tokens.codes_NL).tolist() == list(range(90))
    vectors_ND = material.vectors()
    lost = tokens.quantizer.reconstruction_error(vectors_ND, tokens.quantizer.codes(vectors_ND))
    assert lost < 0.95  # 90 texts are few to learn from
    grown = tokens.append(vectors_ND[:5])
    assert np.array_equal(grown.codes_NL[:90], tokens.codes_NL)
    assert np.array_equal(grown.semantic_codes[90:], tokens.quantizer.codes(vectors_ND[:5]))
