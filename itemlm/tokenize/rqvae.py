"""RQ-VAE: an autoencoder whose latent is written as a few codes; TIGER's tokenizer.

Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023, section 3.1, after
Lee et al., "Autoregressive Image Generation using Residual Quantization", CVPR 2022.

The idea    An encoder maps an item's vector x to a latent z. Each level picks the codeword e
            nearest to the residual r that the levels before left over. The decoder restores x from
            the sum of codewords. Two losses add up:

                reconstruction  |x - decode(sum of e)|^2
                quantization    sum over levels of |sg[r] - e|^2 + commitment * |r - sg[e]|^2

            sg stops gradients: the first term draws codewords to residuals, the second residuals
            to codewords. No gradient passes the choice of a codeword, so the decoder's gradient is
            handed to z as it is (straight through).
Departures  Raw inputs and Adagrad collapse to a few codes. Here inputs are standardized per
            dimension; the autoencoder learns alone for some epochs, then the codebooks start from
            k-means on its latents (the paper: on the first batch); unused codewords are put where
            residuals are; and AdamW takes small batches with a falling rate.

Shapes      N items, B of a batch, D width of vectors, H latent width, S levels, K codes of a level.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from itemlm.tokenize.kmeans import Vectors, fit_kmeans, nearest
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.quantizer import Layer, Quantizer, directions
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import SPARE, ItemTokens, unique
from itemlm.types import ConfigError, FloatArray, ItemlmWarning, MissingExtra

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as error:
    raise MissingExtra("the RQ-VAE tokenizer", "torch") from error

# Told after a check: epoch, epochs, and what was measured by name.
Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class RQVAEConfig:
    """Settings of RQ-VAE; the sizes are TIGER's.

    Attributes:
        levels, codes: semantic levels and codes per level; one more level makes codes unique.
        hidden: widths of the encoder's hidden layers; the decoder mirrors them.
        latent: width of codewords.
        commitment: how strongly residuals are drawn to codewords.
        epochs: most passes over the items.
        plain_epochs: passes of the autoencoder without codes, before k-means starts the codebooks.
        batch_size, learning_rate, weight_decay: of AdamW; the rate falls to a tenth by a cosine.
        revive_every: epochs between moving unused codewords to random residuals.
        check_every: epochs between measurements; the best quantizer by reconstruction is kept.
        patience: stop after so many measurements without a better one.
        spread: give items that tie the next best code of the last semantic level (not in TIGER).
        spare: last codes to keep free for later items.
    """

    levels: int = 3
    codes: int = 256
    hidden: tuple[int, ...] = (512, 256, 128)
    latent: int = 32
    commitment: float = 0.25
    epochs: int = 120
    plain_epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    revive_every: int = 5
    check_every: int = 10
    patience: int = 4
    spread: bool = False
    spare: int = SPARE

    def __post_init__(self) -> None:
        for name in ("levels", "codes", "latent", "batch_size", "revive_every", "check_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        if min(self.hidden, default=1) < 1:
            raise ConfigError(f"hidden is {self.hidden}, but every width must be at least 1.")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate is {self.learning_rate}, but must be positive.")
        if not 0 <= self.plain_epochs < self.epochs:
            raise ConfigError(
                f"plain_epochs is {self.plain_epochs} of {self.epochs} epochs; codes need some."
            )


def rqvae(
    vectors_ND: FloatArray,
    config: RQVAEConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    device: str = "cpu",
) -> ItemTokens:
    """Item tokens by an RQ-VAE trained on the vectors of all items.

    Args:
        vectors_ND: one vector per item; only directions matter.
        config: settings.
        seed: same seed, same tokens (on one machine).
        progress: told reconstruction error, code usage and share of unique prefixes at each check.
        device: where PyTorch trains.

    Raises:
        ConfigError: if a setting cannot work.
        DataError: if there are no vectors or they are not finite.
    """
    config = config or RQVAEConfig()
    # 1. Compare directions, standardized per dimension.
    direction_ND = directions(vectors_ND)
    mean_D = direction_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation_D = direction_ND.std(axis=0, dtype=np.float64).astype(np.float32)
    scale_D = np.where(deviation_D > 1e-6, deviation_D, 1).astype(np.float32)
    x_ND = (direction_ND - mean_D) / scale_D

    # 2. Train; what is measured, kept and later used on new items is the same numpy quantizer.
    best, best_error, stale = None, math.inf, 0
    for epoch, model in _train(x_ND, config, seed, device):
        if epoch <= config.plain_epochs or (epoch % config.check_every and epoch < config.epochs):
            continue
        quantizer = model.quantizer(mean_D, scale_D)
        measured = _measure(quantizer, direction_ND)
        if progress is not None:
            progress(epoch, config.epochs, measured)
        stale += 1
        if best is None or measured["reconstruction error"] < best_error:
            best, best_error, stale = quantizer, measured["reconstruction error"], 0
            usage = measured["least usage"]
        if stale == config.patience:
            break
    assert best is not None  # noqa: S101  the last epoch is always measured
    if usage < 0.5:
        warnings.warn(
            f"an RQ-VAE level uses only {usage:.0%} of its codes, so many items will look alike; "
            "train longer, or use residual_kmeans.",
            ItemlmWarning,
            stacklevel=2,
        )

    # 3. Make the codes unique.
    codes_NS = best.codes(direction_ND)
    if config.spread:
        residual_NH = best.latents(direction_ND)
        for codebook_KH, code_N in zip(best.codebooks[:-1], codes_NS.T, strict=False):
            residual_NH -= codebook_KH[code_N]
        codes_NS = spread_ties(codes_NS, residual_NH, best.codebooks[-1], seed)
    return unique(codes_NS, best.levels, seed, spare=config.spare, quantizer=best)
