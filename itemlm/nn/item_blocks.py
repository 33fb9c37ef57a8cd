"""A transformer over histories in which an item is a block of tokens, written all at once.

The tokens of an item look at each other in both directions, and back at all items before. What the
block of the last item says of the next one are all of its codes, each by itself.

Shapes      B histories, T items, C codes of an item that have a meaning, Q = C + 1 codes, P numbers
            of a vector's part for each code, S = T * Q tokens, V codes of a level, U of them in
            use, N items of a catalog, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from itemlm.nn.attention import Block, stack
from itemlm.nn.code_grid import code_grids
from itemlm.nn.code_transformer import Shape, item_positions
from itemlm.nn.dropout import Dropout
from itemlm.nn.item_masks import blockwise_causal
from itemlm.nn.linear import Linear, product
from itemlm.nn.norm import RMSNorm
from itemlm.sample.next_items import SequenceBatch


class Items(nn.Module):
    """A catalog as the transformer sees it: codes, digits and vectors of its items.

    Args:
        codes_NL: codes of each item; the last, without meaning, tells items apart.
        parts_NCP: a vector in as many parts as there are codes with meaning.
        are_known: whether these are the items of training. What last codes other items got is
            mere chance, so that the model neither reads nor writes them.
    """

    codes_NL: Tensor
    parts_NCP: Tensor

    def __init__(self, codes_NL: Tensor, parts_NCP: Tensor, *, are_known: bool = True) -> None:
        super().__init__()
        self.are_known = are_known
        self.register_buffer("codes_NL", codes_NL.long())
        self.register_buffer("parts_NCP", parts_NCP)

    @property
    def used(self) -> list[Tensor]:
        """For each level with meaning: the codes that some item has, ascending."""
        return [torch.unique(codes_N) for codes_N in self.codes_NL[:, :-1].unbind(1)]


@dataclass(slots=True)
class Written:
    """What is still to be said of the next items: the logits of the levels to come."""

    coming: list[Tensor]


class ItemBlocks(nn.Module):
    """A causal transformer over items, each of which is a block of tokens that see each other.

    Args:
        items: the catalog that is read and written.
        digits: sizes of the digits of a code.
        last_codes: different last codes of the catalog of training.
        length: most items read.
        shape: sizes.
        steps: whether vectors of codes are made from their digits; else each has a row.
    """

    def __init__(
        self,
        items: Items,
        digits: Sequence[int],
        last_codes: int,
        length: int,
        shape: Shape,
        *,
        steps: bool,
    ) -> None:
        super().__init__()
        self.items, self.length, self.codes = items, length, math.prod(digits)
        width, levels = shape.width, items.parts_NCP.shape[1]
        self.read_codes = code_grids(digits, levels, width, rows=not steps, steps=steps)
        self.written_codes = code_grids(digits, levels, width, steps=steps)
        self.read_last = nn.Embedding(last_codes, width)
        self.written_last = Linear(width, last_codes)
        self.parts = Linear(items.parts_NCP.shape[2], width)
        self.code_norm, self.part_norm = RMSNorm(width), RMSNorm(width)
        self.positions = nn.Embedding(length, width)
        self.which = nn.Embedding(levels + 1, width)
        self.begin = nn.Embedding(levels + 1, width)
        self.blocks = stack(
            Block(
                width,
                heads=shape.heads,
                head_width=shape.head_width,
                inner=shape.inner,
                dropout=shape.dropout,
            )
            for _ in range(shape.blocks)
        )
        self.norm = RMSNorm(width)
        self.dropout = Dropout(shape.dropout)
        for table in (self.read_last, self.positions, self.which, self.begin):
            nn.init.normal_(table.weight, std=0.02)

    def embedded(self, items_BT: Tensor) -> Tensor:
        """x_BTQD: a vector for every code of every item, and for the part of its text vector."""
        *codes, last_BT = self.items.codes_NL[items_BT].unbind(2)
        x = [grid(codes_BT) for grid, codes_BT in zip(self.read_codes, codes, strict=True)]
        x.append(self.read_last(last_BT if self.items.are_known else torch.zeros_like(last_BT)))
        part_BTCD = self.part_norm(self.parts(self.items.parts_NCP[items_BT]).float())
        code_BTQD = self.code_norm(torch.stack([vectors.float() for vectors in x], dim=2))
        x_BTQD: Tensor = code_BTQD + pad(part_BTCD, (0, 0, 0, 1))
        return x_BTQD

    def states(self, batch: SequenceBatch) -> Tensor:
        """state_BTQD after a beginning and after each item: what is known of the next item."""
        items_BT = batch.items_BT.where(batch.items_BT < len(self.items.codes_NL), 0)
        place_BT = item_positions(batch.lengths_B, items_BT.shape[1], self.length - 1)
        x_BTQD = self.embedded(items_BT) + self.positions(place_BT)[:, :, None] + self.which.weight
        begin_B1QD = self.begin.weight.expand(len(x_BTQD), 1, -1, -1)
        x_BTQD = self.dropout(torch.cat([begin_B1QD, x_BTQD], dim=1))
        mask_SS = blockwise_causal(x_BTQD.shape[1], x_BTQD.shape[2], x_BTQD.device)
        x_BSD = x_BTQD.flatten(1, 2)
        for block in self.blocks:
            x_BSD = block(x_BSD, mask=mask_SS)
        out: Tensor = self.norm(x_BSD).view(x_BTQD.shape)
        return out

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and those of the others: all come out of one pass."""
        rows_B = torch.arange(len(batch.items_BT), device=batch.items_BT.device)
        *states, last_BD = self.states(batch)[rows_B, batch.lengths_B].unbind(1)
        coming = []
        for state_BD, grid, used_U in zip(states, self.written_codes, self.items.used, strict=True):
            logits_BV = state_BD.new_full((len(rows_B), self.codes), -torch.inf)
            logits_BV[:, used_U] = product(state_BD, grid(used_U))
            coming.append(logits_BV[:, None])
        if self.items.are_known:
            coming.append(self.written_last(last_BD)[:, None])
        else:
            most = int(self.items.codes_NL[:, -1].max()) + 1
            coming.append(last_BD.new_zeros(len(rows_B), 1, most))
        return coming.pop(0), Written(coming)

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_B1V of the next code, which do not depend on the codes before."""
        return written.coming.pop(0)
