"""Product quantization: pieces by hand, and a turn that finds pieces which do not show."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize.product import balanced_directions, opq, pq
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError

# Two signs that have nothing to do with each other, one in each half; all of length 1.
SIGNS = np.array([[0.6, 0.8], [0.6, -0.8], [-0.6, 0.8], [-0.6, -0.8]]).repeat([3, 2, 2, 3], axis=0)
SIGNS = SIGNS - SIGNS.mean(axis=0)


def noisy(items=400, seed=0):
    """Four independent signs in pairs of dimensions, turned at random so that none shows."""
    rng = np.random.default_rng(seed)
    sign_NS = rng.choice([-1.0, 1.0], size=(items, 4))
    x_ND = np.repeat(sign_NS, 2, axis=1) + 0.05 * rng.normal(size=(items, 8))
    turn_DD = np.linalg.qr(np.random.default_rng(9).normal(size=(8, 8))).Q
    return x_ND @ turn_DD


def lost(tokens, vectors_ND):
    return tokens.quantizer.reconstruction_error(vectors_ND, tokens.semantic_codes)


def test_one_code_for_each_piece():
    tokens = pq(SIGNS, levels=2, codes=2, spread=False)
    # The first code is the sign of the first value, the second that of the second.
    for level in range(2):
        groups = set(zip(tokens.codes_NL[:, level].tolist(), SIGNS[:, level] > 0, strict=True))
        assert len(groups) == 2
    assert lost(tokens, SIGNS) == pytest.approx(0, abs=1e-6)


def test_codewords_of_a_piece_are_zero_elsewhere():
    tokens = pq(noisy(), levels=3, codes=4)
    # Eight values in three pieces: 0-2, 3-4 and 5-7.
    for codebook_KD, piece in zip(
        tokens.quantizer.codebooks, (slice(0, 3), slice(3, 5), slice(5, 8)), strict=True
    ):
        outside = np.ones(8, dtype=bool)
        outside[piece] = False
        assert not codebook_KD[:, outside].any()
        assert codebook_KD[:, piece].any()


def test_a_turn_finds_the_pieces():
    # Two codes of a piece can tell its two signs apart once it holds one sign alone.
    plain, turned = pq(noisy(), 4, 2, spread=False), opq(noisy(), 4, 2, spread=False)
    assert lost(turned, noisy()) < 0.6 * lost(plain, noisy())
    turn_DD = turned.quantizer.encoder[0][0]
    np.testing.assert_allclose(turn_DD @ turn_DD.T, np.eye(8), atol=1e-5)


def test_directions_are_dealt_such_that_products_of_variances_are_even():
    # Variances 16, 9, 4, 1: 16 to the first piece, 9 to the second, 4 to the second since 9 < 16,
    # and 1 to the first, which alone has room.
    x_ND = np.array(
        [[sign * np.sqrt(2.0) * size if at == place else 0 for at in range(4)]
         for place, size in enumerate((2, 4, 1, 3)) for sign in (1, -1)], dtype=np.float32
    )  # fmt: skip
    turn_DD = balanced_directions(x_ND, [slice(0, 2), slice(2, 4)])
    variance_D = (x_ND @ turn_DD).var(axis=0)
    assert (variance_D / variance_D.min()).round().tolist() == [16, 1, 9, 4]


def test_new_items_are_coded_in_the_same_way_after_loading(tmp_path):
    tokens = opq(noisy(), 4, 4, spread=False)
    tokens.save(tmp_path / "tokens")
    grown = ItemTokens.load(tmp_path / "tokens").append(noisy()[:30])
    assert np.array_equal(grown.semantic_codes[400:], tokens.semantic_codes[:30])


@pytest.mark.parametrize("tokenizer", [pq, opq])
def test_items_are_told_apart_and_bad_settings_refused(tokenizer):
    tokens = tokenizer(noisy(), 2, 64)
    assert len(np.unique(tokens.semantic_codes, axis=0)) == 400  # spread
    assert tokens.fingerprint == tokenizer(noisy(), 2, 64).fingerprint
    with pytest.raises(ConfigError, match="width 8 cannot be cut into 9 pieces"):
        tokenizer(noisy(), 9)
    with pytest.raises(ConfigError, match="at least 1, not 3 and 0"):
        tokenizer(noisy(), 3, 0)
    for vectors_ND in (np.ones((1, 4)), np.zeros((3, 4)), np.eye(4)):
        assert len(tokenizer(vectors_ND, 2, 4)) == len(vectors_ND)
