"""Sparse experts: a feed-forward layer of many parts, of which each token uses a few.

A router gives each token a share of every expert; only the `top` largest are computed, so the layer
knows more than it costs. Left alone, a router soon sends everything to the same experts. So that it
does not, `balance` grows with how uneven the use is, to be added to the loss (`even_use`).

Shazeer et al., "Outrageously Large Neural Networks", ICLR 2017. arXiv:1701.06538; the balance term
is that of Fedus et al., "Switch Transformers", JMLR 2022. arXiv:2101.03961, equation 4.

Shapes      N tokens, E experts, K experts of a token, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from itemlm.nn.attention import FeedForward, stack
from itemlm.nn.linear import Linear
from itemlm.types import ConfigError


class Experts(nn.Module):
    """Takes the place of a `FeedForward` layer.

    Args:
        width: of what comes in and goes out.
        inner: width inside each expert.
        experts: how many.
        top: experts that each token uses.

    Attributes:
        real: which tokens [...] are more than padding, told by who pads; all where None. Nothing is
            computed for the others.
        balance: of the tokens of the last call in training: 1 where all experts are used alike,
            up to the number of experts where one does all the work.

    Raises:
        ConfigError: if a token should use more experts than there are.
    """

    def __init__(self, width: int, inner: int, experts: int, top: int) -> None:
        super().__init__()
        if top > experts:
            raise ConfigError(f"top is {top}, but there are only {experts} experts to choose from.")
        self.top = top
        self.router = Linear(width, experts)
        self.experts = stack(FeedForward(width, inner) for _ in range(experts))
        self.real: Tensor | None = None
        self.balance = torch.ones(())

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] the sum of each token's chosen experts, weighted by their shares."""
        if self.real is None:
            return self._mixed(x.flatten(0, -2)).view(x.shape)
        return torch.zeros_like(x).index_put((self.real,), self._mixed(x[self.real]))

    def _mixed(self, x_ND: Tensor) -> Tensor:
        share_NE = self.router(x_ND).float().softmax(-1)
        share_NK, chosen_NK = share_NE.topk(self.top, dim=-1)
        if self.training:
            self.balance = unevenness(share_NE, chosen_NK)
        out_ND = torch.zeros_like(x_ND)
        for number, expert in enumerate(self.experts):
            token_C, place_C = (chosen_NK == number).nonzero(as_tuple=True)
            if len(token_C):
                part_CD = expert(x_ND[token_C]) * share_NK[token_C, place_C, None].to(x_ND.dtype)
                out_ND = out_ND.index_add(0, token_C, part_CD.to(out_ND.dtype))
        return out_ND


def unevenness(share_NE: Tensor, chosen_NK: Tensor) -> Tensor:
    """E sum_e f_e P_e, with f_e the tokens that chose expert e and P_e its mean share, as shares.

    Only the P_e carry a gradient; it takes from experts that are used much.
    """
    experts = share_NE.shape[1]
    used_E = torch.bincount(chosen_NK.flatten(), minlength=experts) / chosen_NK.numel()
    return experts * (used_E * share_NE.mean(0)).sum()
