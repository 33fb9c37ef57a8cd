"""LETTER: an RQ-VAE whose codes also say what behavior says, and are used more evenly.

Wang et al., "Learnable item tokenization for generative recommendation", CIKM 2024,
arXiv:2405.07314.

The idea    Codes made from texts alone put items together that nobody takes together. Two losses
            join those of RQ-VAE. Alignment: the sum q of an item's codewords should point to the
            item's own collaborative vector h rather than to another's of the batch,

                - log ( exp(q . h_own) / sum over the batch of exp(q . h) )

            Diversity: the codewords of a level lie in groups of about one size; a chosen codeword
            e should be near another of its group, drawn at random, compared with all others,

                - log ( exp(e . e_drawn) / sum over all codewords but e of exp(e . e_other) )

            so that groups stay dense and no codeword drifts off on its own.
Departures  Collaborative vectors come from a decomposition of co-occurrence, not from a SASRec, at
            a length of sqrt(H), that of a latent of unit variance; items without any take no part
            in the alignment. Groups are made anew before every pass. The weights are the authors',
            times the width of vectors, since they average squares over values where RQ-VAE's losses
            here are sums. The ranking temperature of the paper belongs to its generator.

Shapes      N items, B of a batch, H latent width, S levels, K codewords of a level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from itemlm.tokenize.balanced_kmeans import fit_balanced
from itemlm.tokenize.quantizer import directions
from itemlm.tokenize.rqvae import RQVAE, Progress, Quantized, RQVAEConfig, rqvae
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, DataError, FloatArray, MissingExtra

try:
    import torch
    from torch import Tensor
    from torch.nn.functional import cross_entropy
except ModuleNotFoundError as error:
    raise MissingExtra("the LETTER tokenizer", "torch") from error


@dataclass(frozen=True, kw_only=True)
class LetterConfig:
    """Settings; the weights are the authors'.

    Attributes:
        rqvae: of the autoencoder.
        alignment: weight of the collaborative loss, for each value of a vector.
        diversity: weight of the diversity loss, likewise.
        groups: of the codewords of a level.
    """

    rqvae: RQVAEConfig = field(default_factory=RQVAEConfig)
    alignment: float = 0.01
    diversity: float = 1e-4
    groups: int = 10

    def __post_init__(self) -> None:
        if min(self.alignment, self.diversity) < 0 or self.groups < 1:
            raise ConfigError(
                "alignment and diversity must be 0 or more, and groups at least 1, not "
                f"{self.alignment}, {self.diversity} and {self.groups}."
            )


def letter(
    vectors_ND: FloatArray,
    collaborative_NH: FloatArray,
    config: LetterConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    device: str = "cpu",
) -> ItemTokens:
    """Item tokens by an RQ-VAE with LETTER's losses.

    Args:
        vectors_ND: one vector per item, from its text.
        collaborative_NH: one per item from behavior, of width `config.rqvae.latent` at most; zeros
            where nothing is known. Only directions matter.
        config: settings.
        seed: same seed, same tokens (on one machine).
        progress: told after each measurement.
        device: where PyTorch trains.

    Raises:
        ConfigError: if a setting cannot work.
        DataError: if vectors are not finite, or there are not as many of one kind as of the other.
    """
    config = config or LetterConfig()
    width = config.rqvae.latent
    if len(vectors_ND) != len(collaborative_NH) or collaborative_NH.shape[1] > width:
        raise DataError(
            f"LETTER needs one collaborative vector of width {width} or less for each of "
            f"{len(vectors_ND)} items, not vectors of shape {collaborative_NH.shape}."
        )
    behavior_NH = np.zeros((len(vectors_ND), width), dtype=np.float32)
    behavior_NH[:, : collaborative_NH.shape[1]] = directions(collaborative_NH) * np.sqrt(width)
    extra = LetterLoss(torch.from_numpy(behavior_NH).to(device), config, vectors_ND.shape[1], seed)
    return rqvae(vectors_ND, config.rqvae, seed, progress, device, extra)


class LetterLoss:
    """Both losses, weighed and added up."""

    def __init__(self, behavior_NH: Tensor, config: LetterConfig, values: int, seed: int) -> None:
        self.behavior_NH, self.config, self.values, self.seed = behavior_NH, config, values, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.groups: list[Tensor] = []

    def start_pass(self, model: RQVAE) -> None:
        """Group the codewords of every level anew."""
        self.groups = [
            torch.from_numpy(
                fit_balanced(codebook.detach().cpu().numpy(), self.config.groups, self.seed)[1]
            )
            for codebook in model.codebooks
        ]

    def __call__(self, model: RQVAE, rows_B: Tensor, word_BH: Tensor, found: Quantized) -> Tensor:
        """The weighed losses of a batch."""
        diversity = word_BH.new_zeros(())
        for codebook_KH, group_K, code_B in zip(
            model.codebooks, self.groups, found.codes_BS.T, strict=True
        ):
            drawn_B = mates(code_B.cpu(), group_K, self.generator).to(code_B.device)
            diversity = diversity + crowding(codebook_KH, code_B, drawn_B)
        aligned = alignment(word_BH, self.behavior_NH[rows_B])
        config = self.config
        return self.values * (config.alignment * aligned + config.diversity * diversity)


def alignment(word_BH: Tensor, behavior_BH: Tensor) -> Tensor:
    """The collaborative loss; items whose behavior is a vector of zeros are left out."""
    known_B = behavior_BH.any(dim=1)
    if not known_B.any():
        return word_BH.new_zeros(())
    logits_BB = word_BH[known_B] @ behavior_BH[known_B].T
    return cross_entropy(logits_BB, torch.arange(len(logits_BB), device=logits_BB.device))


def crowding(codebook_KH: Tensor, code_B: Tensor, drawn_B: Tensor) -> Tensor:
    """The diversity loss of chosen codewords with the ones drawn from their groups.

    A codeword that was given itself, because it is alone in its group, is left out.
    """
    paired_B = code_B != drawn_B
    if not paired_B.any():
        return codebook_KH.new_zeros(())
    code_B, drawn_B = code_B[paired_B], drawn_B[paired_B]
    logits_BK = codebook_KH[code_B] @ codebook_KH.T
    itself_BK = torch.zeros_like(logits_BK).scatter_(1, code_B[:, None], -torch.inf)
    return cross_entropy(logits_BK + itself_BK, drawn_B)


def mates(code_B: Tensor, group_K: Tensor, generator: torch.Generator) -> Tensor:
    """[B] for each code another one of its group at random; itself where it is alone."""
    mate_BK = group_K[code_B][:, None] == group_K
    mate_BK.scatter_(1, code_B[:, None], False)
    alone_B = ~mate_BK.any(dim=1)
    mate_BK[alone_B, code_B[alone_B]] = True
    return torch.multinomial(mate_BK.float(), 1, generator=generator)[:, 0]
