"""A code transformer that reads item by item: a temporal transformer, and a depth decoder.

An item of the history is the sum of its codes' vectors, so a history of T items is T tokens and not
T times L. What is written is decoded code by code from the state after the last item. Same
interface as the transformers of `code_transformer`.

Shapes      B histories, T items, M items to predict, L codes per item, K continuations, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from itemlm.nn.code_transformer import CodeTable, LevelLogits, Shape
from itemlm.nn.depth import DepthDecoder
from itemlm.nn.history import HistoryTransformer
from itemlm.nn.written import Written
from itemlm.sample.next_items import SequenceBatch


class TemporalDepth(nn.Module):
    """Reads histories item by item, writes the next item code by code; learns at every item.

    Args:
        codes_NL: Semantic ID of each item.
        levels: codes in each level.
        length: most items read.
        shape: sizes; `blocks` of the temporal transformer.
        depth: blocks of the depth decoder.
        shared: whether a code means the same on every level.
    """

    def __init__(
        self,
        codes_NL: Tensor,
        levels: Sequence[int],
        length: int,
        shape: Shape,
        *,
        depth: int = 1,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.table = CodeTable(codes_NL, levels, shape.width, shared=shared)
        self.history = HistoryTransformer(
            length=length,
            width=shape.width,
            blocks=shape.blocks,
            heads=shape.heads,
            head_width=shape.head_width,
            inner=shape.inner,
            dropout=shape.dropout,
        )
        self.decoder = DepthDecoder(
            self.table,
            width=shape.width,
            blocks=depth,
            heads=shape.heads,
            head_width=shape.head_width,
            inner=shape.inner,
            dropout=shape.dropout,
        )

    def _read(self, items_BT: Tensor) -> Tensor:
        """x_BTD of the items of histories."""
        return self.table.embed_items(items_BT.clamp(max=len(self.table.codes_NL) - 1)).sum(2)

    def forward(self, batch: SequenceBatch) -> LevelLogits:
        """Logits of every code of the item after each position."""
        state_BTD = self.history(self._read(batch.items_BT), batch.lengths_B)
        rows_M = batch.at_targets(batch.targets_BT)
        return self.decoder(batch.at_targets(state_BTD), self.table.codes_NL[rows_M])  # type: ignore[no-any-return]

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        # A history of nothing is read as one padding item.
        state_BD = self.history.last(self._read(batch.items_BT), batch.lengths_B.clamp(min=1))
        return self.decoder.read(state_BD, beams)

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        return self.decoder.write(written, parent_BK, codes_BK)
