"""Quantizer: how a vector gets its semantic codes, as plain arrays that need no PyTorch.

A vector becomes a direction (unit length, since text vectors are compared by cosine), is
standardized, may pass an encoder, and then gets one code per level: the nearest codeword to what
the codes before left over. Residual k-means has no encoder; RQ-VAE has one, and a decoder to go
back. Fitted tokens keep their quantizer, so that items that arrive later can be placed among them.

Shapes      N vectors, D width, H latent width, S semantic levels, K codes of a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlm.tokenize.kmeans import Vectors, blocks, finite_vectors, nearest
from itemlm.types import DataError, FloatArray, IntArray

Layer = tuple[Vectors, Vectors]  # weight [in, out] and bias [out]


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantizer:
    """Vectors to codes and back.

    Attributes:
        mean_D, scale_D: directions are standardized as `(x - mean) / scale`.
        codebooks: one [K, H] per level.
        encoder, decoder: layers of perceptrons with ReLU between; empty where H is D.
    """

    mean_D: Vectors
    scale_D: Vectors
    codebooks: tuple[Vectors, ...]
    encoder: tuple[Layer, ...] = ()
    decoder: tuple[Layer, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean_D", frozen(self.mean_D))
        object.__setattr__(self, "scale_D", frozen(self.scale_D))
        object.__setattr__(self, "codebooks", tuple(map(frozen, self.codebooks)))
        for part in ("encoder", "decoder"):
            layers = tuple((frozen(weight), frozen(bias)) for weight, bias in getattr(self, part))
            object.__setattr__(self, part, layers)
        widths = {codebook_KH.shape[1:] for codebook_KH in self.codebooks}
        if len(widths) != 1:
            raise DataError(f"a quantizer needs codebooks of one width, not of {sorted(widths)}.")
        if self.scale_D.shape != self.mean_D.shape or not (self.scale_D > 0).all():
            raise DataError("a quantizer needs one positive scale per value of its mean.")
        self._check("encoder", self.encoder, len(self.mean_D), self.width)
        self._check("decoder", self.decoder, self.width, len(self.mean_D))

    def _check(self, name: str, layers: tuple[Layer, ...], enter: int, leave: int) -> None:
        shapes = [weight.shape for weight, _ in layers]
        widths = [enter, *(shape[-1] for shape in shapes)]
        fits = all(
            weight.shape == (before, after) and bias.shape == (after,)
            for (weight, bias), before, after in zip(layers, widths, widths[1:], strict=False)
        )
        if not fits or widths[-1] != leave:
            raise DataError(
                f"the quantizer's {name} must lead from width {enter} to {leave}, but its layers "
                f"have the shapes {shapes}."
            )

    @property
    def width(self) -> int:
        """H, the width of codewords."""
        return int(self.codebooks[0].shape[1])

    @property
    def levels(self) -> tuple[int, ...]:
        """Codes of each semantic level."""
        return tuple(len(codebook_KH) for codebook_KH in self.codebooks)

    def latents(self, vectors_ND: FloatArray) -> Vectors:
        """[N, H] what is quantized.

        Raises:
            DataError: if the vectors are not finite or not of the width of those fitted on.
        """
        x_ND = directions(vectors_ND)
        if x_ND.shape[1] != len(self.mean_D):
            raise DataError(
                f"vectors have {x_ND.shape[1]} values each, but these tokens were fitted on "
                f"vectors of {len(self.mean_D)}; use the same item encoder."
            )
        latent_NH = np.empty((len(x_ND), self.width), dtype=np.float32)
        for block in blocks(*x_ND.shape):
            latent_NH[block] = perceptron(self.encoder, (x_ND[block] - self.mean_D) / self.scale_D)
        return latent_NH

    def codes(self, vectors_ND: FloatArray) -> IntArray:
        """[N, S] the codes of vectors."""
        vectors_ND = finite_vectors(vectors_ND)
        codes_NS = np.empty((len(vectors_ND), len(self.codebooks)), dtype=np.int32)
        # Block by block through all levels, so that what is left over stays in a cache.
        for block in blocks(len(vectors_ND), max(self.levels)):
            residual_bH = self.latents(vectors_ND[block])
            for level, codebook_KH in enumerate(self.codebooks):
                codes_NS[block, level] = nearest(residual_bH, codebook_KH)[0]
                residual_bH -= codebook_KH[codes_NS[block, level]]
        return codes_NS

    def reconstruct(self, codes_NS: IntArray) -> Vectors:
        """[N, D] the directions that codes stand for; with fewer levels, what their prefix says."""
        latent_NH = np.zeros((len(codes_NS), self.width), dtype=np.float32)
        for codebook_KH, code_N in zip(self.codebooks, codes_NS.T, strict=False):
            latent_NH += codebook_KH[code_N]
        return perceptron(self.decoder, latent_NH) * self.scale_D + self.mean_D

    def reconstruction_error(self, vectors_ND: FloatArray, codes_NS: IntArray) -> float:
        """Share of the variance of directions that codes lose: 0 is lossless, 1 knows the mean."""
        direction_ND = directions(vectors_ND)
        mean_D = direction_ND.mean(axis=0)
        lost = all_of_it = 0.0
        for block in blocks(*direction_ND.shape):
            direction_bD, again_bD = direction_ND[block], self.reconstruct(codes_NS[block])
            lost += float(np.square(direction_bD - again_bD).sum(dtype=np.float64))
            all_of_it += float(np.square(direction_bD - mean_D).sum(dtype=np.float64))
        return lost / all_of_it if all_of_it > 0 else 0.0

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything it consists of, by name."""
        named: dict[str, np.ndarray[Any, Any]] = {"mean": self.mean_D, "scale": self.scale_D}
        for level, codebook_KH in enumerate(self.codebooks):
            named[f"codebook.{level}"] = codebook_KH
        return named | layer_arrays("encoder", self.encoder) | layer_arrays("decoder", self.decoder)

    @classmethod
    def from_arrays(cls, named: Mapping[str, np.ndarray[Any, Any]]) -> Quantizer:
        """Back from `arrays()`."""
        count = sum(name.startswith("codebook.") for name in named)
        return cls(
            mean_D=named["mean"],
            scale_D=named["scale"],
            codebooks=tuple(named[f"codebook.{level}"] for level in range(count)),
            encoder=layers_in(named, "encoder"),
            decoder=layers_in(named, "decoder"),
        )


def frozen(array: FloatArray) -> Vectors:
    """A read-only float32 copy."""
    copy = np.array(array, dtype=np.float32, order="C")
    copy.setflags(write=False)
    return copy


def directions(vectors_ND: FloatArray) -> Vectors:
    """The vectors at unit length; a vector of zeros stays zero.

    Raises:
        DataError: if they are no matrix, there are none, or one is not finite.
    """
    x_ND = finite_vectors(vectors_ND)
    unit_ND = np.empty_like(x_ND)
    for block in blocks(*x_ND.shape):
        x_bD = x_ND[block]
        x_bD = _divided(x_bD, np.abs(x_bD).max(axis=1))  # first, so that no square can overflow
        unit_ND[block] = _divided(x_bD, np.linalg.norm(x_bD, axis=1))
    return unit_ND


def _divided(x_ND: Vectors, by_N: Vectors) -> Vectors:
    divisor_N1 = np.maximum(by_N, np.finfo(np.float32).tiny)[:, None]
    return np.divide(x_ND, divisor_N1, dtype=np.float32)


def perceptron(layers: tuple[Layer, ...], x_ND: Vectors) -> Vectors:
    """[N, H] what layers with ReLU between make of vectors."""
    for place, (weight, bias) in enumerate(layers):
        if place:
            x_ND = np.maximum(x_ND, 0)
        x_ND = x_ND @ weight + bias
    return x_ND


def layer_arrays(part: str, layers: Sequence[Layer]) -> dict[str, np.ndarray[Any, Any]]:
    """Linear layers as named arrays."""
    named: dict[str, np.ndarray[Any, Any]] = {}
    for place, (weight, bias) in enumerate(layers):
        named |= {f"{part}.{place}.weight": weight, f"{part}.{place}.bias": bias}
    return named


def layers_in(named: Mapping[str, np.ndarray[Any, Any]], part: str) -> tuple[Layer, ...]:
    """Back from `layer_arrays`."""
    count = sum(name.startswith(f"{part}.") for name in named) // 2
    return tuple(
        (named[f"{part}.{place}.weight"], named[f"{part}.{place}.bias"]) for place in range(count)
    )
