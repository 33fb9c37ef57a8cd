"""Scalar quantizer: a vector becomes a few numbers, and each is rounded to one of a few steps.

This is the fitted part of FSQ (Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple",
ICLR 2024, arXiv:2309.15505) as plain arrays that need no PyTorch. There is no codebook: a code is
the tuple of its rounded numbers, its digits, written as one number. So all codes exist before there
is any data, none can go unused for want of a codeword, and vectors of any other catalog, made by
the same item encoder, get codes of the same meaning.

    digits of sizes (8, 6, 5): the digits (d0, d1, d2) are the code d0 + 8 d1 + 48 d2 of 240

Shapes      N vectors, D width, S codes of a vector, G digits of a code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlm.tokenize.kmeans import Vectors, blocks, finite_vectors
from itemlm.tokenize.quantizer import (
    Layer,
    directions,
    frozen,
    layer_arrays,
    layers_in,
    perceptron,
)
from itemlm.types import ConfigError, DataError, FloatArray, IntArray

# Sizes of digits by how many codes they make: the recommendations of Mentzer et al. 2024, table 1,
# and a few below their smallest.
DIGITS = (
    *((3,), (4,), (5,), (6,), (8,), (3, 3), (4, 3), (5, 3), (8, 3), (8, 4), (8, 6), (8, 8)),
    *((8, 6, 5), (8, 8, 8), (8, 5, 5, 5), (8, 8, 6, 5), (7, 5, 5, 5, 5)),
    *((8, 8, 8, 6, 5), (8, 8, 8, 5, 5, 5)),
)
INSIDE = 1 - 1e-3  # of the outermost step that a bounded number can reach


def digits_for(codes: int) -> tuple[int, ...]:
    """Sizes of the digits that make as many codes as possible, but not more than these.

    Raises:
        ConfigError: if no digit is that small.
    """
    if codes < 3:
        raise ConfigError(f"codes is {codes}, but finite scalar quantization needs at least 3.")
    return max((sizes for sizes in DIGITS if math.prod(sizes) <= codes), key=math.prod)


def bounds(sizes: Sequence[int]) -> tuple[Vectors, Vectors, Vectors]:
    """half_G, offset_G and shift_G of `bounded`: tanh(z + shift) * half - offset.

    A digit of 5 has steps at -2 ... 2, one of 8 at -4 ... 3: half a step is taken off where the
    size is even. The shift makes up for that, so that 0 stays 0.
    """
    size_G = np.array(sizes, dtype=np.float64)
    half_G = (size_G - 1) * INSIDE / 2
    offset_G = np.where(size_G % 2 == 0, 0.5, 0.0)
    shift_G = np.arctanh(offset_G / half_G)
    return tuple(part.astype(np.float32) for part in (half_G, offset_G, shift_G))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScalarQuantizer:
    """Vectors to codes and back.

    Attributes:
        mean_D, scale_D: directions are standardized as `(x - mean) / scale`.
        encoder: layers of a perceptron from D to S * G numbers, with ReLU between.
        decoder: layers back.
        digits: sizes of the digits, the same for all codes.
    """

    mean_D: Vectors
    scale_D: Vectors
    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    digits: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("mean_D", "scale_D"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        for name in ("encoder", "decoder"):
            layers = tuple((frozen(weight), frozen(bias)) for weight, bias in getattr(self, name))
            object.__setattr__(self, name, layers)
        if self.latents % len(self.digits):
            raise DataError(
                f"the encoder makes {self.latents} numbers, which are no whole codes of "
                f"{len(self.digits)} digits."
            )

    @property
    def latents(self) -> int:
        """S * G, the numbers that are rounded."""
        return len(self.encoder[-1][1])

    @property
    def levels(self) -> tuple[int, ...]:
        """Codes of each of the S levels."""
        return (math.prod(self.digits),) * (self.latents // len(self.digits))

    def standardized(self, vectors_ND: FloatArray) -> Vectors:
        """[N, D] what is encoded.

        Raises:
            DataError: if the vectors are not finite or not of the width of those fitted on.
        """
        x_ND = directions(vectors_ND)
        if x_ND.shape[1] != len(self.mean_D):
            raise DataError(
                f"vectors have {x_ND.shape[1]} values each, but these tokens were fitted on "
                f"vectors of {len(self.mean_D)}; use the same item encoder."
            )
        standardized_ND: Vectors = (x_ND - self.mean_D) / self.scale_D
        return standardized_ND

    def digits_of(self, vectors_ND: FloatArray) -> IntArray:
        """[N, S, G] the digits of the codes of vectors."""
        vectors_ND = finite_vectors(vectors_ND)
        half_G, offset_G, shift_G = bounds(self.digits)
        digits_NSG = np.empty((len(vectors_ND), len(self.levels), len(self.digits)), np.int64)
        for block in blocks(*vectors_ND.shape):
            z_bL = perceptron(self.encoder, self.standardized(vectors_ND[block]))
            z_bSG = z_bL.reshape(len(z_bL), *digits_NSG.shape[1:])
            bounded_bSG = np.tanh(z_bSG + shift_G) * half_G - offset_G
            digits_NSG[block] = np.rint(bounded_bSG).astype(np.int64) + np.array(self.digits) // 2
        return digits_NSG

    def codes(self, vectors_ND: FloatArray) -> IntArray:
        """[N, S] the codes of vectors."""
        return self.digits_of(vectors_ND) @ place_values(self.digits)

    def reconstruct(self, codes_NS: IntArray) -> Vectors:
        """[N, D] the directions that codes stand for; of codes that are left out, the middle."""
        half_G = np.array(self.digits) // 2
        share_NSG = (digits_of_codes(codes_NS, self.digits) - half_G) / half_G
        share_NL = np.zeros((len(codes_NS), self.latents), dtype=np.float32)
        share_NL[:, : share_NSG[0].size] = share_NSG.reshape(len(codes_NS), -1)
        x_ND = perceptron(self.decoder, share_NL)
        reconstructed_ND: Vectors = x_ND * self.scale_D + self.mean_D
        return reconstructed_ND

    def reconstruction_error(self, vectors_ND: FloatArray, codes_NS: IntArray) -> float:
        """Share of the variance of directions that codes lose: 0 is lossless, 1 knows the mean."""
        direction_ND = directions(vectors_ND)
        all_of_it = np.square(direction_ND - direction_ND.mean(axis=0)).sum(dtype=np.float64)
        lost = np.square(direction_ND - self.reconstruct(codes_NS)).sum(dtype=np.float64)
        return float(lost / all_of_it) if all_of_it > 0 else 0.0

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything it consists of, by name."""
        named: dict[str, np.ndarray[Any, Any]] = {
            "digits": np.array(self.digits, dtype=np.int64),
            "mean": self.mean_D,
            "scale": self.scale_D,
        }
        return named | layer_arrays("encoder", self.encoder) | layer_arrays("decoder", self.decoder)

    @classmethod
    def from_arrays(cls, named: Mapping[str, np.ndarray[Any, Any]]) -> ScalarQuantizer:
        """Back from `arrays()`."""
        return cls(
            mean_D=named["mean"],
            scale_D=named["scale"],
            encoder=layers_in(named, "encoder"),
            decoder=layers_in(named, "decoder"),
            digits=tuple(named["digits"].tolist()),
        )


def place_values(sizes: Sequence[int]) -> IntArray:
    """[G] what each digit counts for in a code; the first counts for one."""
    return np.cumprod([1, *sizes[:-1]])


def digits_of_codes(codes: IntArray, sizes: Sequence[int]) -> IntArray:
    """[..., G] the digits of codes."""
    digits: IntArray = np.asarray(codes)[..., None] // place_values(sizes) % np.array(sizes)
    return digits
