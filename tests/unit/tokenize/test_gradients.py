"""Gradients past a choice, by hand in the plane."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from itemlm.tokenize.gradients import rotated, straight_through


def gradient(through, z, word, toward):
    """What arrives at z when the result is drawn along `toward`."""
    z_BH = torch.tensor([z], requires_grad=True)
    result_BH = through(z_BH, torch.tensor([word]))
    (got_BH,) = torch.autograd.grad((result_BH * torch.tensor(toward)).sum(), z_BH)
    return result_BH[0].tolist(), got_BH[0].tolist()


def test_straight_through_passes_the_gradient_as_it_is():
    assert gradient(straight_through, [2.0, 0.0], [0.0, 3.0], [1.0, 0.5]) == ([0, 3], [1, 0.5])


def test_a_quarter_turn_turns_the_gradient_back():
    # (2, 0) to (0, 3): a quarter turn to the left, 1.5 times as long. So the gradient (1, 0) takes
    # a quarter turn to the right, (0, -1), 1.5 times as long.
    result, got = gradient(rotated, [2.0, 0.0], [0.0, 3.0], [1.0, 0.0])
    assert result == pytest.approx([0, 3], abs=1e-6)
    assert got == pytest.approx([0, -1.5], abs=1e-6)


def test_along_the_codeword_becomes_along_the_latent():
    # Unit vectors (.6, .8) and (.8, .6), lengths 5 and 10. A pull along the codeword, (.8, .6),
    # arrives along the latent, 10 / 5 times as strong; a pull across, (-.6, .8), across: (-.8, .6).
    for toward, expected in (([0.8, 0.6], [1.2, 1.6]), ([-0.6, 0.8], [-1.6, 1.2])):
        result, got = gradient(rotated, [3.0, 4.0], [8.0, 6.0], toward)
        assert result == pytest.approx([8, 6], rel=1e-6)
        assert got == pytest.approx(expected, rel=1e-5)


def test_what_has_no_direction_breaks_nothing():
    for z, word in (([0.0, 0.0], [1.0, 0.0]), ([1.0, 0.0], [0.0, 0.0]), ([1.0, 0.0], [-2.0, 0.0])):
        _, got = gradient(rotated, z, word, [1.0, 1.0])
        assert all(abs(value) < 1e30 for value in got)
