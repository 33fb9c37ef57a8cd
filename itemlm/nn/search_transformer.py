"""A code transformer that is told in words what is searched for, or nothing.

The words of a search become one vector, added to the one that begins every sequence. So a search by
nobody in particular, a history without a search and a search at the end of a history are all read
by the same transformer, which writes the codes of an item in any case.

Shapes      B histories, T items, W words, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itemlm.nn.attention import Block
from itemlm.nn.code_transformer import DecoderOnly, LevelLogits, Shape
from itemlm.nn.norm import RMSNorm
from itemlm.nn.written import Written
from itemlm.sample.searches import SearchBatch


class SearchReader(nn.Module):
    """The words of a search, which look at each other, as one vector; zero without words.

    Args:
        words: rows of the table, of words that are known.
        shape: sizes of the block.
    """

    def __init__(self, words: int, shape: Shape) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 1, shape.width, padding_idx=words)
        self.block = Block(
            shape.width,
            heads=shape.heads,
            head_width=shape.head_width,
            inner=shape.inner,
            dropout=shape.dropout,
        )
        self.norm = RMSNorm(shape.width)
        nn.init.normal_(self.words.weight, std=0.02)
        with torch.no_grad():
            self.words.weight[words].zero_()

    def forward(self, words_BW: Tensor) -> Tensor:
        """[B, D] the mean of what the block makes of each word."""
        real_BW = words_BW < self.words.num_embeddings - 1
        has_B1 = real_BW.any(1, keepdim=True)
        # A line without words looks at its padding, so that attention has something to look at.
        mask_B11W = (real_BW | ~has_B1)[:, None, None]
        state_BWD = self.norm(self.block(self.words(words_BW), mask=mask_B11W))
        sum_BD = (state_BWD * real_BW[..., None]).sum(1)
        read_BD: Tensor = sum_BD / real_BW.sum(1, keepdim=True).clamp(min=1)
        return read_BD


class SearchTransformer(DecoderOnly):
    """`DecoderOnly` over histories that may end in a search.

    Args:
        codes_NL: Semantic ID of each item; an item may have two rows, one as a search's answer.
        levels: codes in each level.
        length: most items read.
        shape: sizes.
        words: that are known.
    """

    def __init__(
        self, codes_NL: Tensor, levels: Sequence[int], length: int, shape: Shape, *, words: int
    ) -> None:
        super().__init__(codes_NL, levels, length, shape)
        self.search = SearchReader(words, shape)

    def forward(self, batch: SearchBatch) -> LevelLogits:  # type: ignore[override]
        """Logits of every item of a history, or of the last item where there is a search."""
        histories = batch.histories
        items_BT = torch.cat([histories.items_BT[:, :1], histories.targets_BT], dim=1)
        columns_T = torch.arange(items_BT.shape[1], device=items_BT.device)
        last_B1 = histories.lengths_B[:, None]
        items_BT = items_BT.where(columns_T <= last_B1, 0)
        learned_BT = columns_T == last_B1 if batch.searching else columns_T <= last_B1
        x_BSD = self._tokens(items_BT, histories.lengths_B + 1, newest=self.length)[:, :-1]
        return self._predicted(self._told(x_BSD, batch.words_BW), items_BT, learned_BT)

    def read(self, batch: SearchBatch, beams: int) -> tuple[Tensor, Written]:  # type: ignore[override]
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        histories = batch.histories
        x_BSD = self._tokens(histories.items_BT, histories.lengths_B, newest=self.length - 1)
        return self._read(self._told(x_BSD, batch.words_BW), histories.lengths_B, beams)

    def _told(self, x_BSD: Tensor, words_BW: Tensor) -> Tensor:
        """The tokens with the search added to the first one."""
        told_B1D = x_BSD[:, :1] + self.search(words_BW)[:, None]
        return torch.cat([told_B1D, x_BSD[:, 1:]], dim=1)
