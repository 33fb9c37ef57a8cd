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
            handed to z as it is (straight through; `gradients` has another way).
Pieces      What later papers changed is given to the config as functions: `gradient`, how the
            decoder's gradient reaches z; `choose_last`, how the last level picks codewords while
            learning; `spread`, what becomes of items that tie. LC-Rec's tokens are
            RQVAEConfig(choose_last=evenly, spread=spread_by_sinkhorn). A further loss is an
            `ExtraLoss`, as `letter` has one.
Departures  Raw inputs and Adagrad collapse to a few codes. Here inputs are standardized per
            dimension; the autoencoder learns alone for some epochs, then the codebooks start from
            k-means on its latents (the paper: on the first batch); unused codewords are put where
            residuals are; and AdamW takes small batches with a falling rate.

Shapes      N items, B of a batch, D width of vectors, H latent width, S levels, K codes of a level.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from itemlm.tokenize.kmeans import Vectors, fit_kmeans, means, nearest
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.quantizer import Layer, Quantizer, directions
from itemlm.tokenize.sinkhorn import even_prices
from itemlm.tokenize.tokens import SPARE, ItemTokens, unique
from itemlm.types import ConfigError, FloatArray, IntArray, ItemlmWarning, MissingExtra

try:
    import torch
    from torch import Tensor, nn

    from itemlm.nn.perceptron import perceptron
    from itemlm.tokenize.gradients import Gradient, straight_through
except ModuleNotFoundError as error:
    raise MissingExtra("the RQ-VAE tokenizer", "torch") from error

CONSTANT = 1e-6  # a dimension that varies less than this is not scaled
LEAST_USAGE = 0.5  # share of a level's codes below which a fit is called collapsed

# Of squared distances cost_BK, the codes of a batch.
Choice = Callable[[Tensor], Tensor]
# As `ties.spread_ties`: codes_NS, latents of rows, codebooks and seed give codes_NS again.
Spread = Callable[[IntArray, Callable[[IntArray], Vectors], Sequence[Vectors], int], IntArray]
# Told after a measurement: epoch, epochs, and what was measured by name.
Progress = Callable[[int, int, Mapping[str, float]], None]


def cheapest(cost_BK: Tensor) -> Tensor:
    """[B] the code of the nearest codeword."""
    return cost_BK.argmin(dim=1)


def evenly(cost_BK: Tensor) -> Tensor:
    """[B] codes that a batch uses about evenly, by Sinkhorn's prices: LC-Rec's last level."""
    cost = cost_BK.cpu().numpy()
    return torch.from_numpy((cost + even_prices(cost)).argmin(axis=1)).to(cost_BK.device)


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
            More of them restore vectors better and use later levels less evenly: with 20 in place
            of 5, Amazon Beauty's MiniLM vectors lost 38.6 % of their variance in place of 39.8 %,
            and 93.9 % of three-code prefixes were unique in place of 94.8 %.
        batch_size, learning_rate, weight_decay: of AdamW; the rate falls to a tenth by a cosine.
        revive_every: epochs between moving unused codewords to random residuals.
        check_every: epochs between measurements; the best quantizer by reconstruction is kept.
        patience: stop after so many measurements without a better one.
        gradient: of codewords to latents, from `gradients`.
        choose_last: picks the last level's codewords in training; measured and used is the nearest.
        spread: gives items that tie other codes of the last semantic level, as `ties.spread_ties`
            and `uniform.spread_by_sinkhorn`; None leaves it to the last code, as TIGER.
        spare: last codes to keep free for later items.
    """

    levels: int = 3
    codes: int = 256
    hidden: tuple[int, ...] = (512, 256, 128)
    latent: int = 32
    commitment: float = 0.25
    epochs: int = 120
    plain_epochs: int = 5
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    revive_every: int = 5
    check_every: int = 10
    patience: int = 4
    gradient: Gradient = straight_through
    choose_last: Choice = cheapest
    spread: Spread | None = None
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


class Quantized(NamedTuple):
    """Latents as codes: the sum of codewords, how far they are off, and the codes."""

    sum_BH: Tensor
    loss: Tensor
    codes_BS: Tensor


class ExtraLoss(Protocol):
    """What a tokenizer adds to the losses of RQ-VAE."""

    def start_pass(self, model: RQVAE) -> None:
        """Told before every pass over the items, once there are codebooks."""
        ...

    def __call__(self, model: RQVAE, rows_B: Tensor, word_BH: Tensor, found: Quantized) -> Tensor:
        """The loss of a batch of items, from the sum of codewords with its gradient to latents."""
        ...


def rqvae(
    vectors_ND: FloatArray,
    config: RQVAEConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    device: str = "cpu",
    extra: ExtraLoss | None = None,
) -> ItemTokens:
    """Item tokens by an RQ-VAE trained on the vectors of all items.

    Args:
        vectors_ND: one vector per item; only directions matter.
        config: settings.
        seed: same seed, same tokens (on one machine).
        progress: told after each measurement.
        device: where PyTorch trains.
        extra: a further loss.

    Raises:
        ConfigError: if a setting cannot work.
        DataError: if there are no vectors or they are not finite.
    """
    config = config or RQVAEConfig()
    # 1. Compare directions, standardized per dimension.
    direction_ND = directions(vectors_ND)
    mean_D = direction_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation_D = direction_ND.std(axis=0, dtype=np.float64).astype(np.float32)
    scale_D = np.where(deviation_D > CONSTANT, deviation_D, np.float32(1))
    x_ND = torch.from_numpy((direction_ND - mean_D) / scale_D).to(device)

    # 2. Learn to restore vectors without codes, then start the codebooks from the latents.
    training = _Training(x_ND, config, seed, extra)
    for epoch in range(config.plain_epochs):
        training.one_pass(epoch)
    training.start_codebooks()

    # 3. Learn to restore them from codes. The quantizer measured here is the one that is kept and
    #    later places new items, in numpy.
    best = training.model.quantizer(mean_D, scale_D)
    best_error, best_epoch = math.inf, config.plain_epochs
    for epoch in range(config.plain_epochs, config.epochs):
        if (epoch - config.plain_epochs) % config.revive_every == 0:
            training.revive_unused()
        training.one_pass(epoch)
        done = epoch + 1
        if done % config.check_every and done < config.epochs:
            continue
        quantizer = training.model.quantizer(mean_D, scale_D)
        measured = _measure(quantizer, direction_ND)
        if progress is not None:
            progress(done, config.epochs, measured)
        # A further loss has other aims than reconstruction, so with one the last state is kept.
        if extra is not None or measured["reconstruction error"] < best_error:
            best, best_error, best_epoch = quantizer, measured["reconstruction error"], done
        if done - best_epoch >= config.patience * config.check_every:
            break

    # 4. Make the codes unique.
    codes_NS = best.codes(direction_ND)
    _warn_if_collapsed(codes_NS, best.levels)
    if config.spread is not None:
        codes_NS = config.spread(
            codes_NS, lambda rows: best.latents(direction_ND[rows]), best.codebooks, seed
        )
    return unique(codes_NS, best.levels, seed, spare=config.spare, quantizer=best)


class RQVAE(nn.Module):
    """The autoencoder; it has codebooks only once they are started."""

    def __init__(self, width: int, config: RQVAEConfig) -> None:
        super().__init__()
        widths = (width, *config.hidden, config.latent)
        self.encoder = perceptron(widths)
        self.decoder = perceptron(widths[::-1])
        self.codebooks = nn.ParameterList()
        self.commitment, self.gradient = config.commitment, config.gradient
        self.choose_last = config.choose_last

    def forward(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of reconstruction and of quantization: squares summed per item, averaged."""
        z_BH = self.encoder(x_BD)
        if not len(self.codebooks):
            return self.reconstruction(x_BD, z_BH), z_BH.new_zeros(())
        found = self.quantize(z_BH)
        return self.reconstruction(x_BD, self.gradient(z_BH, found.sum_BH)), found.loss

    def reconstruction(self, x_BD: Tensor, latent_BH: Tensor) -> Tensor:
        """The loss of restoring inputs from latents, or from words in their place."""
        squares: Tensor = (x_BD - self.decoder(latent_BH)).square().sum(dim=1)
        return squares.mean()

    def quantize(self, z_BH: Tensor) -> Quantized:
        """The chosen codewords and the quantization loss."""
        residual_BH, sum_BH = z_BH, torch.zeros_like(z_BH)
        loss, codes = z_BH.new_zeros(()), []
        for level, codebook_KH in enumerate(self.codebooks, start=1):
            last = level == len(self.codebooks)
            choose = self.choose_last if last and self.training else cheapest
            codes.append(choose(squared_distances(residual_BH, codebook_KH)))
            word_BH = codebook_KH[codes[-1]]
            drawn_words = (residual_BH.detach() - word_BH).square().sum(dim=1).mean()
            drawn_residuals = (residual_BH - word_BH.detach()).square().sum(dim=1).mean()
            loss = loss + drawn_words + self.commitment * drawn_residuals
            residual_BH = residual_BH - word_BH.detach()
            sum_BH = sum_BH + word_BH
        return Quantized(sum_BH, loss, torch.stack(codes, dim=1))

    def quantizer(self, mean_D: Vectors, scale_D: Vectors) -> Quantizer:
        """What it has learned, in numpy."""
        return Quantizer(
            mean_D=mean_D,
            scale_D=scale_D,
            codebooks=tuple(codebook.detach().cpu().numpy() for codebook in self.codebooks),
            encoder=layers_of(self.encoder),
            decoder=layers_of(self.decoder),
        )


@torch.no_grad()
def squared_distances(residual_BH: Tensor, codebook_KH: Tensor) -> Tensor:
    """[B, K] from residuals to codewords."""
    length_B1 = residual_BH.square().sum(dim=1, keepdim=True)
    return length_B1 + codebook_KH.square().sum(dim=1) - 2 * residual_BH @ codebook_KH.T


def nearest_codes(residual_BH: Tensor, codebook_KH: Tensor) -> Tensor:
    """[B] the code of the codeword nearest to each residual."""
    return cheapest(squared_distances(residual_BH, codebook_KH))


class _Training:
    """A model, its optimizer and its randomness, which touches no global state."""

    def __init__(
        self, x_ND: Tensor, config: RQVAEConfig, seed: int, extra: ExtraLoss | None = None
    ) -> None:
        self.x_ND, self.config, self.seed, self.extra = x_ND, config, seed, extra
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = RQVAE(x_ND.shape[1], config).to(x_ND.device)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), weight_decay=config.weight_decay, fused=True
        )

    def one_pass(self, epoch: int) -> None:
        """Learn from every item once, in random order."""
        progress = epoch / self.config.epochs
        rate = self.config.learning_rate * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.extra is not None and len(self.model.codebooks):
            self.extra.start_pass(self.model)
        order_N = torch.randperm(len(self.x_ND), generator=self.generator).to(self.x_ND.device)
        for rows_B in torch.split(order_N, self.config.batch_size):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._loss(rows_B)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def _loss(self, rows_B: Tensor) -> Tensor:
        x_BD = self.x_ND[rows_B]
        if self.extra is None or not len(self.model.codebooks):
            reconstruction, quantization = self.model.forward(x_BD)
            return reconstruction + quantization
        z_BH = self.model.encoder(x_BD)
        found = self.model.quantize(z_BH)
        word_BH = self.model.gradient(z_BH, found.sum_BH)
        added = self.extra(self.model, rows_B, word_BH, found)
        return self.model.reconstruction(x_BD, word_BH) + found.loss + added

    @torch.no_grad()
    def start_codebooks(self) -> None:
        """One codebook after the other from k-means on what the ones before leave over.

        As in residual k-means, groups are of directions, else few latents with much left over
        take most codewords of later levels.
        """
        residual_NH = self.model.encoder(self.x_ND).cpu().numpy()
        for level in range(self.config.levels):
            around_NH = residual_NH - residual_NH.mean(axis=0)
            _, group_N = fit_kmeans(directions(around_NH), self.config.codes, self.seed + level)
            codebook_KH = means(residual_NH, group_N)
            residual_NH = residual_NH - codebook_KH[nearest(residual_NH, codebook_KH)[0]]
            parameter = nn.Parameter(torch.from_numpy(codebook_KH).to(self.x_ND.device))
            self.model.codebooks.append(parameter)
        self.optimizer.add_param_group({"params": list(self.model.codebooks), "weight_decay": 0.0})

    @torch.no_grad()
    def revive_unused(self) -> None:
        """Put every codeword that no item uses where the residual of a random item is."""
        residual_NH = self.model.encoder(self.x_ND)
        for codebook_KH in self.model.codebooks:
            code_N = nearest_codes(residual_NH, codebook_KH)
            unused = torch.bincount(code_N, minlength=len(codebook_KH)).eq(0).nonzero()[:, 0]
            if len(unused):
                rows = torch.randint(len(residual_NH), unused.shape, generator=self.generator)
                codebook_KH[unused] = residual_NH[rows.to(residual_NH.device)]
                code_N = nearest_codes(residual_NH, codebook_KH)
            residual_NH = residual_NH - codebook_KH[code_N]


def _measure(quantizer: Quantizer, direction_ND: Vectors) -> dict[str, float]:
    codes_NS = quantizer.codes(direction_ND)
    return {
        "reconstruction error": quantizer.reconstruction_error(direction_ND, codes_NS),
        "unique": len(np.unique(prefix_groups(codes_NS))) / len(codes_NS),
        "least usage": min(_usage(codes_NS, quantizer.levels)),
    }


def _usage(codes_NS: IntArray, levels: tuple[int, ...]) -> list[float]:
    """Share of the codes of each level that some item has."""
    columns = zip(codes_NS.T, levels, strict=True)
    return [len(np.unique(code_N)) / size for code_N, size in columns]


def _warn_if_collapsed(codes_NS: IntArray, levels: tuple[int, ...]) -> None:
    usage = min(_usage(codes_NS, levels))
    if usage < LEAST_USAGE:
        warnings.warn(
            f"a level of the RQ-VAE uses only {usage:.0%} of its codes, so many items look alike "
            "to it. Train for more epochs, or use residual_kmeans, which cannot collapse.",
            ItemlmWarning,
            stacklevel=3,
        )


def layers_of(network: nn.Sequential) -> tuple[Layer, ...]:
    """The layers of a perceptron, in numpy."""
    linear = [part for part in network if isinstance(part, nn.Linear)]
    return tuple(
        (part.weight.detach().T.cpu().numpy(), part.bias.detach().cpu().numpy()) for part in linear
    )
