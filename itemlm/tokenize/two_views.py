"""Two views: an autoencoder that writes what text and behavior say as one tuple of codes.

Two encoders map the text vector and the collaborative vector of an item (or user) to latents of one
space; their mean is quantized level by level, as in RQ-VAE; and two decoders restore both vectors
from the sum of codewords. A contrastive term draws the two latents of one thing together and apart
from those of others, so that neither view is ignored.

Shapes      B things, D text width, E collaborative width, H latent width, S levels, K codes of a
            level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from itemlm.nn.perceptron import perceptron
from itemlm.tokenize.gradients import straight_through
from itemlm.tokenize.kmeans import fit_kmeans
from itemlm.tokenize.rqvae import nearest_codes
from itemlm.types import FloatArray

TEMPERATURE = 0.1  # of contrastive terms: differences of cosines count tenfold


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of a two-view autoencoder.

    Attributes:
        text, behavior: widths of the vectors of the two views, D and E.
        hidden: width of the one hidden layer of each encoder and decoder.
        latent: width of codewords, H.
        levels, codes: semantic levels, and codes of each.
        commitment: how strongly residuals are drawn to codewords.
    """

    text: int
    behavior: int
    hidden: int = 128
    latent: int = 32
    levels: int = 3
    codes: int = 256
    commitment: float = 0.25


@dataclass(frozen=True, slots=True)
class Quantized:
    """What codes a batch of latents got.

    Attributes:
        codes_BS: the nearest codeword to what the levels before left over.
        sum_BH: the sum of codewords; gradients pass to the latents as if nothing had been rounded.
        loss: codewords drawn to residuals, and residuals to codewords.
    """

    codes_BS: Tensor
    sum_BH: Tensor
    loss: Tensor


class TwoViews(nn.Module):
    """The autoencoder. Its codebooks are zero until `start_codebooks`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden, latent = sizes.hidden, sizes.latent
        self.text_encoder = perceptron((sizes.text, hidden, latent))
        self.behavior_encoder = perceptron((sizes.behavior, hidden, latent))
        self.text_decoder = perceptron((latent, hidden, sizes.text))
        self.behavior_decoder = perceptron((latent, hidden, sizes.behavior))
        self.codebooks = nn.ParameterList(
            torch.zeros(sizes.codes, latent) for _ in range(sizes.levels)
        )

    def latents(self, text_BD: Tensor, behavior_BE: Tensor) -> tuple[Tensor, Tensor]:
        """[B, H] the latent of each view, of length 1; the mean of the two gets the codes."""
        text_BH, behavior_BH = self.text_encoder(text_BD), self.behavior_encoder(behavior_BE)
        return normalize(text_BH, dim=-1), normalize(behavior_BH, dim=-1)

    def quantize(self, latent_BH: Tensor) -> Quantized:
        """Codes of latents [..., H]; shapes keep what stands before H."""
        residual, total, loss, codes = latent_BH, torch.zeros_like(latent_BH), 0.0, []
        for codebook_KH in self.codebooks:
            code = nearest_codes(residual.flatten(0, -2), codebook_KH).view(residual.shape[:-1])
            word = codebook_KH[code]
            drawn_words = (residual.detach() - word).square().sum(-1).mean()
            drawn_residuals = (residual - word.detach()).square().sum(-1).mean()
            loss = loss + drawn_words + self.sizes.commitment * drawn_residuals
            residual, total = residual - word.detach(), total + word
            codes.append(code)
        passed_BH = straight_through(latent_BH, total)
        return Quantized(torch.stack(codes, dim=-1), passed_BH, torch.as_tensor(loss))

    def losses(
        self, text_BD: Tensor, behavior_BE: Tensor, *, quantized: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of learning from a batch, and latent_BH of both views together.

        Args:
            text_BD, behavior_BE: the two vectors of each thing, values about 1 in size.
            quantized: whether the decoders get codewords, or the latent as it is.
        """
        own_BH, other_BH = self.latents(text_BD, behavior_BE)
        latent_BH = written_BH = (own_BH + other_BH) / 2
        terms = {"alignment": contrast(own_BH, other_BH)}
        if quantized:
            words = self.quantize(latent_BH)
            written_BH, terms["quantization"] = words.sum_BH, words.loss
        missed_text = (text_BD - self.text_decoder(written_BH)).square().mean()
        missed_behavior = (behavior_BE - self.behavior_decoder(written_BH)).square().mean()
        terms["reconstruction"] = missed_text + missed_behavior
        return terms, latent_BH

    @torch.no_grad()
    def start_codebooks(self, latent_NH: Tensor, seed: int) -> None:
        """One codebook after the other from k-means on what the ones before leave over."""
        residual_NH = latent_NH.cpu().numpy()
        for level, codebook_KH in enumerate(self.codebooks):
            centers_KH, code_N = fit_kmeans(residual_NH, self.sizes.codes, seed + level)
            residual_NH = residual_NH - centers_KH[code_N]
            # Where there are fewer centers than codes, some codes say the same and stay unused.
            again_K = torch.arange(self.sizes.codes) % len(centers_KH)
            codebook_KH.copy_(torch.from_numpy(centers_KH)[again_K])

    def codebook_arrays(self) -> Sequence[FloatArray]:
        """The codebooks in numpy."""
        return [codebook_KH.detach().cpu().numpy() for codebook_KH in self.codebooks]


def contrast(one_BH: Tensor, other_BH: Tensor) -> Tensor:
    """InfoNCE: each of one side must be nearest, by cosine, to its own of the other side.

    The mean of both directions; all other rows of the batch are negatives (van den Oord et al.
    2018).
    """
    cosine_BB = normalize(one_BH, dim=1) @ normalize(other_BH, dim=1).T / TEMPERATURE
    own_B = torch.arange(len(cosine_BB), device=cosine_BB.device)
    return (cross_entropy(cosine_BB, own_B) + cross_entropy(cosine_BB.T, own_B)) / 2
