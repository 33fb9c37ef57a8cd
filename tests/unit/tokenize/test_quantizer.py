"""The quantizer: directions, an encoder of plain arrays, and back."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.tokenize.quantizer import Quantizer, directions
from itemlm.types import DataError


def flat(**changes):
    settings = {
        "mean_D": np.array([0.6, 0.8]),
        "scale_D": np.array([0.5, 2.0]),
        "codebooks": (np.array([[0.0, 0.0], [-2.0, 0.0]]), np.array([[0.0, 0.0], [-0.4, -0.2]])),
    }
    return Quantizer(**{**settings, **changes})


def test_vectors_are_reduced_to_directions():
    # 3-4-5 triangles of any size point the same way; zeros stay zero.
    vectors_ND = np.array([[3, 4], [3e-30, 4e-30], [3e30, 4e30], [0, 0]])
    expected_ND = np.array([[0.6, 0.8]] * 3 + [[0, 0]])
    np.testing.assert_allclose(directions(vectors_ND), expected_ND, rtol=1e-6)


def test_standardizing_by_hand():
    # ((-0.6 - 0.6) / 0.5, (0 - 0) / 2) and ((1 - 0.6) / 0.5, (0 - 0.8) / 2).
    latent_NH = flat().latents(np.array([[-3.0, 4.0], [7.0, 0.0]]))
    np.testing.assert_allclose(latent_NH, [[-2.4, 0.0], [0.8, -0.4]], atol=1e-6)


def test_codes_and_reconstruction_by_hand():
    # (-2.4, 0) is nearest to (-2, 0), which leaves (-0.4, 0): 0.16 from (0, 0) but 0.04 from
    # (-0.4, -0.2). (0.8, -0.4) is nearest to (0, 0) twice.
    codes_NS = flat().codes(np.array([[-3.0, 4.0], [7.0, 0.0]]))
    assert codes_NS.tolist() == [[1, 1], [0, 0]]
    # Back: (-2.4, -0.2) * (0.5, 2) + (0.6, 0.8) = (-0.6, 0.4), and the prefix (1) = (-0.4, 0.8).
    np.testing.assert_allclose(flat().reconstruct(np.array([[1, 1]])), [[-0.6, 0.4]], atol=1e-6)
    np.testing.assert_allclose(flat().reconstruct(np.array([[1]])), [[-0.4, 0.8]], atol=1e-6)


def test_the_encoder_is_a_perceptron_with_relu_between_layers():
    quantizer = Quantizer(
        mean_D=np.zeros(1),
        scale_D=np.ones(1),
        encoder=(
            (np.array([[1.0, -1.0]]), np.array([0.5, 0.0])),
            (np.array([[2.0], [10.0]]), np.array([-7.0])),
        ),
        decoder=((np.array([[3.0]]), np.array([1.0])),),
        codebooks=(np.array([[-4.0], [4.0]]),),
    )
    # 1 -> relu(1.5, -1) = (1.5, 0) -> 3 - 7 = -4, and -1 -> relu(-0.5, 1) = (0, 1) -> 10 - 7 = 3.
    assert quantizer.latents(np.array([[5.0], [-5.0]])).tolist() == [[-4.0], [3.0]]
    # The decoder: -4 * 3 + 1 and 4 * 3 + 1.
    assert quantizer.reconstruct(quantizer.codes(np.array([[5.0], [-5.0]]))).tolist() == [
        [-11.0],
        [13.0],
    ]


def test_arrays_bring_everything_back():
    quantizer = flat(
        encoder=((np.eye(2), np.ones(2)), (np.eye(2), np.zeros(2))),
        decoder=((np.eye(2), -np.ones(2)),),
    )
    copy = Quantizer.from_arrays(quantizer.arrays())
    assert copy.arrays().keys() == quantizer.arrays().keys()
    assert all(
        np.array_equal(copy.arrays()[name], array) for name, array in quantizer.arrays().items()
    )
    assert not copy.mean_D.flags.writeable


def test_nothing_lost_and_everything_lost():
    # A code for each of two opposite directions loses nothing; one code at their mean loses all.
    vectors_ND = np.array([[1.0], [-2.0]])
    both = Quantizer(mean_D=np.zeros(1), scale_D=np.ones(1), codebooks=(np.array([[1.0], [-1.0]]),))
    one = Quantizer(mean_D=np.zeros(1), scale_D=np.ones(1), codebooks=(np.zeros((1, 1)),))
    assert both.reconstruction_error(vectors_ND, np.array([[0], [1]])) == 0
    assert one.reconstruction_error(vectors_ND, np.array([[0], [0]])) == 1
    assert one.reconstruction_error(np.ones((3, 1)), np.zeros((3, 1), dtype=int)) == 0


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="encoder must lead from width 2 to 2"):
        flat(encoder=((np.eye(3), np.zeros(3)),))
    with pytest.raises(DataError, match="decoder must lead from width 2 to 2"):
        flat(decoder=((np.ones((2, 5)), np.zeros(5)),))
    with pytest.raises(DataError, match="one positive scale"):
        flat(scale_D=np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="codebooks of one width"):
        flat(codebooks=(np.zeros((2, 2)), np.zeros((2, 3))))
