"""FSQ: rounding and its gradient by hand, and tokens that place later items."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.tokenize.by_name import Material, item_tokens
from itemlm.tokenize.fsq import FSQ, fitted_fsq, fsq
from itemlm.tokenize.quality import quality
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError


def vectors(items=300, width=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, width))[rng.integers(10, size=items)] + 0.2 * rng.normal(
        size=(items, width)
    )


def test_rounding_by_hand_and_its_gradient():
    model = FSQ(width=2, levels=1, digits=(5, 3))
    z_BL = torch.tensor([[0.6, -3.0]], requires_grad=True)
    rounded_BL = model.rounded(z_BL)
    # tanh(.6) * 1.998 = 1.073, step 1 of 2; tanh(-3) * .999 = -.994, step -1 of 1.
    assert rounded_BL.tolist() == [[0.5, -1.0]]
    rounded_BL.sum().backward()
    # As if it had not been rounded: d/dz tanh(z) * half / (size // 2).
    slope = (1 - torch.tanh(torch.tensor([0.6, -3.0])) ** 2) * torch.tensor([1.998 / 2, 0.999])
    torch.testing.assert_close(z_BL.grad[0], slope)


def test_the_trained_model_and_its_numpy_form_agree():
    x = vectors()
    quantizer = fitted_fsq(x, levels=2, codes=64, seed=0)
    model = FSQ(width=12, levels=2, digits=(8, 8))
    for part, layers in ((model.encoder, quantizer.encoder), (model.decoder, quantizer.decoder)):
        for layer, (weight, bias) in zip((part[0], part[2]), layers, strict=True):
            layer.weight.data, layer.bias.data = (
                torch.from_numpy(weight.T.copy()),
                torch.from_numpy(bias.copy()),
            )
    z_BL = model.encoder(torch.from_numpy(quantizer.standardized(x)))
    steps_BL = model.rounded(z_BL) * model.half_width_L
    digits = steps_BL.round().long().view(len(x), 2, 2) + 4
    assert (digits.numpy() == quantizer.digits_of(x)).all()


def test_items_that_are_alike_share_codes_and_little_is_lost():
    x = vectors()
    tokens = fsq(x, levels=2, codes=240, seed=0)
    assert tokens.levels[:2] == (240, 240)
    assert tokens.quantizer.reconstruction_error(x, tokens.semantic_codes) < 0.3
    found = quality(tokens, x)
    assert found.agreement[0] > 5 * found.chance[0]
    assert (tokens.codes_NL == fsq(x, levels=2, codes=240, seed=0).codes_NL).all()


def test_tokens_are_kept_with_their_quantizer_and_place_later_items(tmp_path):
    x = vectors()
    tokens = fsq(x[:200], levels=2, codes=64, seed=0)
    tokens.save(tmp_path / "tokens")
    loaded = ItemTokens.load(tmp_path / "tokens")
    assert loaded.fingerprint == tokens.fingerprint
    grown = loaded.append(x[200:210])
    assert (grown.codes_NL[:200] == tokens.codes_NL).all()
    assert (grown.semantic_codes[200:] == tokens.quantizer.codes(x[200:210])).all()


def test_by_name():
    x = vectors(items=40)
    material = Material(dataset=None, vectors=lambda: x, levels=3, codes=256, seed=0)
    assert item_tokens("fsq", material).levels[:3] == (240, 240, 240)
    with pytest.raises(ConfigError, match="levels is 0"):
        fsq(x, levels=0)
