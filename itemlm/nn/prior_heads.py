"""Heads for what people know of items: one small adapter per group, composed group under group.

A backbone gives a state. Each prior (the category of what comes next, say) divides what may come
next into groups, and each group has a head: a low-rank layer and a constant that are added to the
state, and a share that says how likely the group is. Priors form a hierarchy: the heads of the
second work on what the head of the first has made of the state, and so on. All heads begin as
copies of the backbone.

Zhang et al., "Don't Waste It: Guiding Generative Recommenders with Structured Human Priors via
Multi-head Decoding", 2025. arXiv:2511.10492

Shapes      M states, D width, P priors, G groups of a prior, H combinations of groups, R rank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, silu

from itemlm.nn.attention import stack
from itemlm.nn.linear import Linear


class Heads(nn.Module):
    """The heads of one prior.

    Args:
        width: of a state.
        groups: G.
        rank: of what a head adds.
    """

    def __init__(self, width: int, groups: int, rank: int) -> None:
        super().__init__()
        self.router = Linear(width, groups)
        self.down = nn.Parameter(torch.randn(groups, width, rank) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(groups, rank, width))
        self.shift = nn.Parameter(torch.zeros(groups, width))

    def of(self, state_MD: Tensor, group_M: Tensor) -> Tensor:
        """[M, D] each state through the head of its group."""
        adapted_MD = state_MD.clone()
        for group in range(len(self.down)):
            row_C = (group_M == group).nonzero()[:, 0]
            added_CD = silu(state_MD[row_C] @ self.down[group]) @ self.up[group] + self.shift[group]
            adapted_MD = adapted_MD.index_add(0, row_C, added_CD.to(adapted_MD.dtype))
        return adapted_MD

    def all(self, state: Tensor) -> Tensor:
        """[..., G, D] each state through every head."""
        hidden = silu(torch.einsum("...d,gdr->...gr", state, self.down))
        added: Tensor = torch.einsum("...gr,grd->...gd", hidden, self.up)
        return state[..., None, :] + added + self.shift


class PriorHeads(nn.Module):
    """A hierarchy of priors.

    Args:
        width: of a state.
        groups: how many each prior has, from the first to the last; none leave states as they are.
        rank: of what a head adds.
    """

    def __init__(self, width: int, groups: Sequence[int], rank: int) -> None:
        super().__init__()
        self.priors = stack(Heads(width, count, rank) for count in groups)

    def forward(self, state_MD: Tensor, group_MP: Tensor) -> tuple[Tensor, Tensor]:
        """[M, D] states through the heads of their groups, and the mean -log p of these groups."""
        surprise = torch.zeros((), device=state_MD.device)
        for heads, group_M in zip(self.priors, group_MP.unbind(1), strict=True):
            surprise = surprise + cross_entropy(heads.router(state_MD).float(), group_M)
            state_MD = heads.of(state_MD, group_M)
        return state_MD, surprise

    def combinations(self, state_MD: Tensor) -> tuple[Tensor, Tensor]:
        """[M, H, D] each state through every combination of heads, and their log_MH p."""
        state_MHD, log_MH = state_MD[:, None], state_MD.new_zeros(len(state_MD), 1)
        for heads in self.priors:
            log_MHG = log_MH[..., None] + heads.router(state_MHD).float().log_softmax(-1)
            state_MHD, log_MH = heads.all(state_MHD).flatten(1, 2), log_MHG.flatten(1)
        return state_MHD, log_MH
