"""A decoder that writes an item's codes from one state, in a small transformer of their own.

Codes of one item are looked at by one another and by nothing else, so the history is read item by
item, not code by code: L times fewer tokens go through the large transformer, and what is cached
per beam are the few codes of one item. The split into a temporal and a depth transformer is
RQ-Transformer's (Lee et al., CVPR 2022); MARIUS (arXiv:2508.14910) recommends with it.

Shapes      B histories, K beams, M states, L codes per item, V codes of a level, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itemlm.nn.attention import Block, KeysValues, stack
from itemlm.nn.code_transformer import CodeTable, LevelLogits
from itemlm.nn.dropout import Dropout
from itemlm.nn.norm import RMSNorm
from itemlm.nn.written import Cache, Written, look_back


class DepthDecoder(nn.Module):
    """Writes the codes of an item, given a state that says what is wanted.

    Args:
        table: code vectors and the logits of each level; may be shared with what reads histories.
        width: of the states and of every layer.
        blocks: transformer blocks.
        heads: of attention.
        inner: width inside the feed-forward layers.
        dropout: on the input and on what every layer adds.
        head_width: of a head of attention; width / heads where None.
    """

    def __init__(
        self,
        table: CodeTable,
        *,
        width: int,
        blocks: int,
        heads: int,
        inner: int,
        dropout: float,
        head_width: int | None = None,
    ) -> None:
        super().__init__()
        self.table = table
        self.level_vectors = nn.Embedding(table.levels, width)
        self.blocks: Sequence[Block] = stack(
            Block(width, heads=heads, inner=inner, dropout=dropout, head_width=head_width)
            for _ in range(blocks)
        )
        self.norm = RMSNorm(width)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.level_vectors.weight, std=0.02)

    def forward(self, state_MD: Tensor, codes_ML: Tensor) -> LevelLogits:
        """Logits of every code given those before it, and the right codes."""
        return self.table.targets(self._states(state_MD, codes_ML), codes_ML)

    def _states(self, state_MD: Tensor, codes_ML: Tensor) -> Tensor:
        """[M, L, D] before each code, given those before it."""
        written_MLD = torch.cat([state_MD[:, None], self.table.embed(codes_ML[:, :-1])], dim=1)
        x_MLD = self.dropout(written_MLD + self.level_vectors.weight)
        for block in self.blocks:
            x_MLD = block(x_MLD, causal=True)
        out: Tensor = self.norm(x_MLD)
        return out

    def log_probability(self, state_MD: Tensor, codes_ML: Tensor) -> Tensor:
        """[M] the log-probability of whole Semantic IDs, the same that a beam would have."""
        x_MLD = self._states(state_MD, codes_ML)
        total_M = torch.zeros(len(codes_ML), device=codes_ML.device)
        for level, codes_M in enumerate(codes_ML.unbind(1)):
            log_MV = self.table.logits(x_MLD[:, level], level).float().log_softmax(-1)
            log_M = log_MV.gather(1, codes_M.clamp(min=0)[:, None])[:, 0]
            total_M += log_M.where(codes_M >= 0, 0.0)
        return total_M

    def read(self, state_BD: Tensor, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        room = 1 + beams * (self.table.levels - 1)
        caches = [Cache(_nothing(block, state_BD), room) for block in self.blocks]
        visible_BKX = torch.zeros(len(state_BD), 1, 0, dtype=torch.bool, device=state_BD.device)
        written = Written(caches, visible_BKX)
        parent_B1 = torch.zeros(len(state_BD), 1, dtype=torch.long, device=state_BD.device)
        return self._next(written, parent_B1, state_BD[:, None]), written

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        return self._next(written, parent_BK, self.table.embed_level(codes_BK, written.level - 1))

    def _next(self, written: Written, parent_BK: Tensor, x_BKD: Tensor) -> Tensor:
        mask_B1KX = written.branch(parent_BK)
        x_BKD = x_BKD + self.level_vectors.weight[written.level]
        for block, cache in zip(self.blocks, written.caches, strict=True):
            x_BKD = block.feed_forward(look_back(block, x_BKD, cache, mask_B1KX))
        written.level += 1
        return self.table.logits(self.norm(x_BKD), written.level - 1)


def _nothing(block: Block, state_BD: Tensor) -> KeysValues:
    """The keys and values of no tokens."""
    attention = block.attention
    empty = state_BD.new_empty(len(state_BD), attention.heads, 0, attention.head_width)
    return KeysValues(empty, empty)
