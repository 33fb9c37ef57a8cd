"""Gradients past a choice: what an encoder learns from the codeword that its latent was given.

Which codeword is nearest has no gradient. A function here returns the codewords as they are, yet
hands what the decoder says about them on to the latents, in one way or another.

    straight_through    as if the codeword were the latent: the gradient passes unchanged, so all
                        latents of one codeword are pushed the same way. Bengio, Leonard and
                        Courville 2013, arXiv:1308.3432; van den Oord et al., NeurIPS 2017.
    rotated             as if the codeword were the latent, turned and scaled: the gradient is
                        turned back and scaled with it, so it says the same about latent and
                        codeword relative to their directions, and the latents of one codeword are
                        pushed apart or together. Fifty et al. 2024, arXiv:2410.06424. Here it needs
                        a stronger commitment: with RQ-VAE's 0.25, 3,000 items of Amazon Beauty lost
                        68 % of their variance, with 1.0 they lost 55 % (straight through: 53 %).

Shapes      B latents, H their width.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import normalize

TINY = 1e-12

# Of latents z_BH and codewords, gives codewords whose gradient reaches the latents.
Gradient = Callable[[Tensor, Tensor], Tensor]


def straight_through(z_BH: Tensor, word_BH: Tensor) -> Tensor:
    """[B, H] the codewords, whose gradient goes to the latents as it is."""
    return z_BH + (word_BH - z_BH).detach()


def rotated(z_BH: Tensor, word_BH: Tensor) -> Tensor:
    """[B, H] the codewords, as a fixed turn and scale of the latents.

    With unit vectors u of the latent, v of the codeword and r halfway between them, the turn is
    R = I - 2 rr' + 2 vu': it takes u to v within the plane of the two and leaves all else alone.
    """
    z, word = z_BH.detach(), word_BH.detach()
    u_BH, v_BH = normalize(z, dim=1, eps=TINY), normalize(word, dim=1, eps=TINY)
    r_BH = normalize(u_BH + v_BH, dim=1, eps=TINY)
    scale_B1 = word.norm(dim=1, keepdim=True) / z.norm(dim=1, keepdim=True).clamp_min(TINY)
    along_r_B1 = (z_BH * r_BH).sum(dim=1, keepdim=True)
    along_u_B1 = (z_BH * u_BH).sum(dim=1, keepdim=True)
    turned_BH: Tensor = scale_B1 * (z_BH - 2 * along_r_B1 * r_BH + 2 * along_u_B1 * v_BH)
    return turned_BH
