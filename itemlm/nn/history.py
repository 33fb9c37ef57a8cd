"""A causal transformer over the events of a history, whatever vectors stand for them.

Shapes      B histories, T positions, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from itemlm.nn.attention import Block, stack
from itemlm.nn.dropout import Dropout
from itemlm.nn.norm import RMSNorm


class HistoryTransformer(nn.Module):
    """Reads the vectors of a history, oldest first, and gives a state after each.

    Args:
        length: most events of a history.
        width: of the vectors and of every layer.
        blocks: transformer blocks.
        heads: of attention.
        inner: width inside the feed-forward layers.
        dropout: on the input and on what every layer adds.
        head_width: of a head of attention; width / heads where None.
    """

    def __init__(
        self,
        *,
        length: int,
        width: int,
        blocks: int,
        heads: int,
        inner: int,
        dropout: float,
        head_width: int | None = None,
    ) -> None:
        super().__init__()
        self.length = length
        self.positions = nn.Embedding(length, width)
        self.blocks = stack(
            Block(width, heads=heads, inner=inner, dropout=dropout, head_width=head_width)
            for _ in range(blocks)
        )
        self.norm = RMSNorm(width)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """state_BTD after each position; only the first lengths_B positions mean anything."""
        x_BTD = self._placed(x_BTD, lengths_B)
        for block in self.blocks:
            x_BTD = block(x_BTD, causal=True)
        state_BTD: Tensor = self.norm(x_BTD)
        return state_BTD

    def last(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """state_BD after each history: what `forward` gives at its last position, for less."""
        x_BTD = self._placed(x_BTD, lengths_B)
        *others, last = self.blocks
        for block in others:
            x_BTD = block(x_BTD, causal=True)
        state_BD: Tensor = self.norm(last.last(x_BTD, lengths_B))
        return state_BD

    def _placed(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """The vectors with how long ago they were."""
        columns_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        # The newest event of every history has the last position, however short the history.
        age_BT = (lengths_B[:, None] - 1 - columns_T).clamp(min=0)
        placed_BTD: Tensor = self.dropout(x_BTD + self.positions(self.length - 1 - age_BT))
        return placed_BTD
