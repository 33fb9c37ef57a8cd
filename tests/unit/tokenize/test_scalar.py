"""Scalar quantization: digits, bounds and rounding by hand, without PyTorch."""

from __future__ import annotations

from math import atanh, prod, tanh

import numpy as np
import pytest

from itemlm.tokenize.scalar import (
    DIGITS,
    ScalarQuantizer,
    bounds,
    digits_for,
    digits_of_codes,
    place_values,
)
from itemlm.types import ConfigError, DataError


def identity(width, digits, scale=1.0):
    """A quantizer whose encoder and decoder change nothing."""
    layer = (np.eye(width, dtype=np.float32), np.zeros(width, dtype=np.float32))
    return ScalarQuantizer(
        mean_D=np.zeros(width),
        scale_D=np.full(width, scale),
        encoder=(layer,),
        decoder=(layer,),
        digits=digits,
    )


def test_the_papers_digits_for_a_number_of_codes():
    assert digits_for(15_360) == (8, 8, 8, 6, 5)  # 8 * 8 * 8 * 6 * 5
    assert digits_for(16_384) == (8, 8, 8, 6, 5)
    assert digits_for(256) == (8, 6, 5)  # 240
    assert digits_for(1024) == (8, 5, 5, 5)  # 1000
    assert digits_for(4096) == (8, 8, 6, 5)  # 1920; the paper's 4375 are more than asked for
    assert digits_for(64) == (8, 8)
    assert len({prod(sizes) for sizes in DIGITS}) == len(DIGITS)
    with pytest.raises(ConfigError, match="needs at least 3"):
        digits_for(2)


def test_bounds_of_an_odd_and_an_even_digit():
    half, offset, shift = bounds((5, 8))
    # Five steps: (5 - 1) * .999 / 2 on both sides of 0. Eight: (8 - 1) * .999 / 2, half a step off,
    # and a shift that makes up for it at 0: tanh(shift) * 3.4965 - .5 = 0.
    assert half == pytest.approx([1.998, 3.4965])
    assert offset == pytest.approx([0.0, 0.5])
    assert shift == pytest.approx([0.0, atanh(0.5 / 3.4965)])
    assert np.tanh(0 + shift) * half - offset == pytest.approx([0, 0], abs=1e-6)
    # The extremes round to -2 and 2, and to -4 and 3: five and eight steps.
    assert np.rint(half - offset).tolist() == [2, 3]
    assert np.rint(-half - offset).tolist() == [-2, -4]


def test_digits_and_codes_by_hand():
    quantizer = identity(3, (8, 6, 5), scale=0.1)
    # Directions are divided by 0.1: (.6, 0, -.8) becomes (6, 0, -8).
    # 8 steps: tanh(6 + .144) * 3.4965 - .5 = 2.996, step 3, digit 7.
    # 6 steps: step 0, digit 3.     5 steps: tanh(-8) * 1.998 = -1.998, step -2, digit 0.
    assert tanh(6 + atanh(0.5 / 3.4965)) * 3.4965 - 0.5 == pytest.approx(2.9965, abs=1e-3)
    vector = np.array([[3.0, 0.0, -4.0]])
    assert quantizer.digits_of(vector).tolist() == [[[7, 3, 0]]]
    assert quantizer.codes(vector).tolist() == [[7 + 8 * 3 + 48 * 0]]
    assert quantizer.levels == (240,)
    # Steps go back as shares of half the size: 3 / 4, 0 / 3, -2 / 2.
    assert quantizer.reconstruct(np.array([[31]])) == pytest.approx(np.array([[0.075, 0.0, -0.1]]))


def test_every_code_is_its_digits():
    codes = np.arange(240)
    digits = digits_of_codes(codes, (8, 6, 5))
    assert digits.max(axis=0).tolist() == [7, 5, 4]
    assert (digits @ place_values((8, 6, 5)) == codes).all()
    assert len(np.unique(digits, axis=0)) == 240


def test_codes_do_not_depend_on_the_other_items():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 6))
    quantizer = identity(6, (8, 6, 5), scale=0.3)
    assert quantizer.levels == (240, 240)
    assert (quantizer.codes(vectors)[10:20] == quantizer.codes(vectors[10:20])).all()


def test_arrays_bring_it_back():
    quantizer = identity(6, (8, 6, 5), scale=0.3)
    again = ScalarQuantizer.from_arrays(quantizer.arrays())
    vectors = np.random.default_rng(1).normal(size=(9, 6))
    assert (again.codes(vectors) == quantizer.codes(vectors)).all()
    assert again.digits == (8, 6, 5)


def test_what_does_not_fit_is_a_sentence():
    with pytest.raises(DataError, match="4 numbers, which are no whole codes of 3 digits"):
        identity(4, (8, 6, 5))
    with pytest.raises(DataError, match="vectors have 5 values each"):
        identity(3, (8, 6, 5)).codes(np.ones((2, 5)))
