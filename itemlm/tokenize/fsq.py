"""FSQ: an autoencoder whose latent numbers are rounded; codes without a codebook.

Mentzer, Minnen, Agustsson and Tschannen, "Finite Scalar Quantization: VQ-VAE Made Simple", ICLR
2024, arXiv:2309.15505; as an item tokenizer in RecGPT, arXiv:2506.06270.

The idea    An encoder maps an item's vector to a few numbers. Each is bounded by tanh and rounded
            to one of a handful of steps, and the decoder restores the vector from the steps. A code
            is a tuple of steps, so nothing but the autoencoder is learned: no codebook, no
            commitment loss, no unused codewords. Rounding has no gradient; the decoder's is handed
            through as it is (straight through).
Departures  The shift that keeps 0 at 0 for digits of even size is the inverse of tanh; the paper's
            listing has tan, which only comes close. Vectors are compared by direction, centered,
            and scaled by one number. Encoder and decoder are perceptrons over the whole vector, so
            that every code can say anything about it.

Shapes      N items, B of a batch, D width of vectors, S codes of an item, G digits of a code,
            L = S * G latent numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from itemlm.tokenize.kmeans import Vectors
from itemlm.tokenize.quantizer import directions
from itemlm.tokenize.scalar import ScalarQuantizer, bounds, digits_for
from itemlm.tokenize.tokens import ItemTokens, unique
from itemlm.types import ConfigError, FloatArray, MissingExtra

try:
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import l1_loss

    from itemlm.nn.perceptron import perceptron
    from itemlm.tokenize.rqvae import layers_of
except ModuleNotFoundError as error:
    raise MissingExtra("the FSQ tokenizer", "torch") from error

HIDDEN = 512  # width of the encoder's and the decoder's hidden layer
STEPS = 3000  # at most: 60 epochs of 12,000 items
EPOCHS = 200  # at most
BATCH_SIZE = 256
LEARNING_RATE = 1e-3


def fsq(vectors_ND: FloatArray, levels: int = 4, codes: int = 15_360, seed: int = 0) -> ItemTokens:
    """Item tokens by finite scalar quantization of the vectors of all items.

    Args:
        vectors_ND: one vector per item; only directions matter.
        levels: codes per item; one more is added to make them unique.
        codes: most codes of a level; the FSQ paper's digits make 240 of 256, 15,360 of 16,384.
        seed: same seed, same tokens (on one machine).

    Raises:
        ConfigError: if a setting is too small.
        DataError: if there are no vectors or they are not finite.
    """
    quantizer = fitted_fsq(vectors_ND, levels, codes, seed)
    return unique(quantizer.codes(vectors_ND), quantizer.levels, seed, quantizer=quantizer)


def fitted_fsq(vectors_ND: FloatArray, levels: int, codes: int, seed: int) -> ScalarQuantizer:
    """The quantizer alone, for vectors of this and of other catalogs; arguments as for `fsq`."""
    if levels < 1:
        raise ConfigError(f"levels is {levels}, but an item needs at least 1 code.")
    digits = digits_for(codes)
    # 1. Compare directions, around their mean, in units in which they are about 1.
    direction_ND = directions(vectors_ND)
    mean_D = direction_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = float((direction_ND - mean_D).std())
    scale_D = np.full_like(mean_D, deviation if deviation > 0 else 1.0)
    x_ND = torch.from_numpy((direction_ND - mean_D) / scale_D)

    # 2. Learn to restore them from rounded numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FSQ(x_ND.shape[1], levels, digits)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0, fused=True)
    steps = min(STEPS, EPOCHS * -(-len(x_ND) // BATCH_SIZE))
    for step, rows_B in enumerate(_batches(len(x_ND), steps, generator)):
        rate = LEARNING_RATE * (0.1 + 0.9 * (1 + math.cos(math.pi * step / steps)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        model(x_ND[rows_B]).backward()
        optimizer.step()
    return model.quantizer(mean_D, scale_D)


def _batches(items: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of items, all of them once before any comes again."""
    while steps > 0:
        order_N = torch.randperm(items, generator=generator)
        for rows_B in torch.split(order_N, BATCH_SIZE)[:steps]:
            yield rows_B
            steps -= 1


class FSQ(nn.Module):
    """The autoencoder."""

    def __init__(self, width: int, levels: int, digits: Sequence[int]) -> None:
        super().__init__()
        latents = levels * len(digits)
        self.digits = tuple(digits)
        self.encoder = perceptron((width, HIDDEN, latents))
        self.decoder = perceptron((latents, HIDDEN, width))
        half_G, offset_G, shift_G = map(torch.from_numpy, bounds(digits))
        self.half_L, self.offset_L, self.shift_L = (
            part.repeat(levels) for part in (half_G, offset_G, shift_G)
        )
        self.half_width_L = torch.tensor(digits).repeat(levels) // 2

    def forward(self, x_BD: Tensor) -> Tensor:
        """The mean distance of every number of a vector from what is restored (L1)."""
        return l1_loss(self.decoder(self.rounded(self.encoder(x_BD))), x_BD)

    def rounded(self, z_BL: Tensor) -> Tensor:
        """[B, L] steps, scaled to about -1 ... 1, with the gradient of the bounded numbers."""
        bounded_BL = torch.tanh(z_BL + self.shift_L) * self.half_L - self.offset_L
        step_BL = bounded_BL + (bounded_BL.round() - bounded_BL).detach()  # straight through
        return step_BL / self.half_width_L

    def quantizer(self, mean_D: Vectors, scale_D: Vectors) -> ScalarQuantizer:
        """What it has learned, in numpy."""
        return ScalarQuantizer(
            mean_D=mean_D,
            scale_D=scale_D,
            encoder=layers_of(self.encoder),
            decoder=layers_of(self.decoder),
            digits=self.digits,
        )
