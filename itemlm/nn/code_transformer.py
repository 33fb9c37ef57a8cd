"""Transformers that read histories as Semantic IDs and write the next item's, code by code.

Two of them share one interface: `model(batch)` gives the training logits; `read` looks at a history
once, and `write` adds one code to each of many continuations of it, which is all that beam search
needs.

Shapes      B histories, T items, L codes per item, S tokens read, K continuations, X tokens that
            are cached, M items to predict, V codes of a level, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn

from itemlm.nn.attention import Attention, Block, KeysValues, stack
from itemlm.nn.dropout import Dropout
from itemlm.nn.linear import Linear
from itemlm.nn.norm import RMSNorm
from itemlm.nn.written import Cache, Written, look_back
from itemlm.sample.next_items import SequenceBatch

LevelLogits = list[tuple[Tensor, Tensor]]  # per level: logits_MV and the right codes_M


class BlockSettings(Protocol):
    """The fields of a Config that say how large a transformer of any kind is."""

    @property
    def width(self) -> int: ...

    @property
    def blocks(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def inner(self) -> int: ...

    @property
    def dropout(self) -> float: ...


class ShapeSettings(BlockSettings, Protocol):
    """Those that say how large a code transformer is."""

    @property
    def head_width(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a code transformer; the defaults are TIGER's (Rajput et al. 2023, section 4.1)."""

    width: int = 128
    blocks: int = 4
    heads: int = 6
    head_width: int = 64
    inner: int = 1024
    dropout: float = 0.1

    @classmethod
    def of(cls, config: ShapeSettings) -> Shape:
        """The sizes that a paper's settings ask for."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


def _blocks(shape: Shape) -> Sequence[Block]:
    return stack(
        Block(
            shape.width,
            heads=shape.heads,
            head_width=shape.head_width,
            inner=shape.inner,
            dropout=shape.dropout,
        )
        for _ in range(shape.blocks)
    )


class CodeTable(nn.Module):
    """Codes as vectors, and vectors as logits over the codes of a level.

    Each level has its own part of the table, so that logits are only ever computed over the codes
    that can come next; shared codes have one part for all levels. Code -1, after the end of a
    shorter path, is a vector of its own and never a target.

    Args:
        codes_NL: Semantic ID of each item, -1 after the end of a shorter one.
        levels: codes in each level.
        width: of the vectors.
        shared: whether a code means the same on every level.
    """

    codes_NL: Tensor
    starts_L: Tensor

    def __init__(
        self, codes_NL: Tensor, levels: Sequence[int], width: int, *, shared: bool = False
    ) -> None:
        super().__init__()
        starts = [0] * len(levels) if shared else [0, *accumulate(levels)][:-1]
        size = levels[0] if shared else sum(levels)
        padding = torch.zeros(1, codes_NL.shape[1], dtype=torch.long)
        self.register_buffer("codes_NL", torch.cat([codes_NL.long(), padding]))
        self.register_buffer("starts_L", torch.tensor(starts), persistent=False)
        self.vectors = nn.Embedding(size + 2, width)  # the last two: ended, and the beginning
        self.outputs = stack(Linear(width, size) for size in (levels[:1] if shared else levels))
        nn.init.normal_(self.vectors.weight, std=0.02)

    @property
    def levels(self) -> int:
        """Codes per item."""
        return self.codes_NL.shape[1]

    def begin(self) -> Tensor:
        """[D] the vector that begins a sequence."""
        return self.vectors.weight[-1]

    def embed(self, codes: Tensor) -> Tensor:
        """[..., l, D] vectors of codes [..., l] of the first l levels."""
        rows = codes + self.starts_L[: codes.shape[-1]]
        out: Tensor = self.vectors(rows.where(codes >= 0, self.vectors.num_embeddings - 2))
        return out

    def embed_level(self, codes: Tensor, level: int) -> Tensor:
        """[..., D] vectors of codes of one level."""
        rows = codes + self.starts_L[level]
        out: Tensor = self.vectors(rows.where(codes >= 0, self.vectors.num_embeddings - 2))
        return out

    def embed_items(self, items_BT: Tensor) -> Tensor:
        """[B, T, L, D] the vectors of the codes of items."""
        return self.embed(self.codes_NL[items_BT])

    def logits(self, state: Tensor, level: int) -> Tensor:
        """[..., V] over the codes of a level."""
        out: Tensor = self.outputs[level if len(self.outputs) > 1 else 0](state)
        return out

    def targets(self, state_MLD: Tensor, codes_ML: Tensor) -> LevelLogits:
        """Logits of every level where there is a code to predict, and that code."""
        levels: LevelLogits = []
        for level, codes_M in enumerate(codes_ML.unbind(1)):
            real_M = codes_M >= 0
            state_MD, codes_M = state_MLD[real_M, level], codes_M[real_M]
            levels.append((self.logits(state_MD, level), codes_M))
        return levels


def item_positions(lengths_B: Tensor, width: int, newest: int) -> Tensor:
    """[B, width] position of each item, counted so that the last of every history is `newest`."""
    age_BT = lengths_B[:, None] - 1 - torch.arange(width, device=lengths_B.device)
    return (newest - age_BT).clamp(min=0, max=newest)


class DecoderOnly(nn.Module):
    """One causal transformer over all codes: each code of a window is a target in one pass.

    Args:
        codes_NL: Semantic ID of each item.
        levels: codes in each level.
        length: most items read.
        shape: sizes.
        shared: whether a code means the same on every level.
    """

    def __init__(
        self,
        codes_NL: Tensor,
        levels: Sequence[int],
        length: int,
        shape: Shape,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.length = length
        self.table = CodeTable(codes_NL, levels, shape.width, shared=shared)
        self.positions = nn.Embedding(length + 1, shape.width)
        self.blocks = _blocks(shape)
        self.norm = RMSNorm(shape.width)
        self.dropout = Dropout(shape.dropout)
        nn.init.normal_(self.positions.weight, std=0.02)

    def _tokens(self, items_BT: Tensor, lengths_B: Tensor, newest: int) -> Tensor:
        """[B, 1 + T * L, D] a beginning, then the codes of every item."""
        x_BTLD = self.table.embed_items(items_BT)
        place_BT = item_positions(lengths_B, items_BT.shape[1], newest)
        x_BSD = (x_BTLD + self.positions(place_BT)[:, :, None]).flatten(1, 2)
        begin_B1D = self.table.begin().expand(len(items_BT), 1, -1)
        out: Tensor = self.dropout(torch.cat([begin_B1D, x_BSD], dim=1))
        return out

    def forward(self, batch: SequenceBatch) -> LevelLogits:
        """Logits of every code of every item of the windows."""
        # The first item and what followed each: the whole window.
        items_BT = torch.cat([batch.items_BT[:, :1], batch.targets_BT], dim=1)
        real_BT = torch.cat([torch.ones_like(items_BT[:, :1]) > 0, batch.targets_BT >= 0], dim=1)
        items_BT = items_BT.where(real_BT, 0)
        x_BSD = self._tokens(items_BT, batch.lengths_B + 1, newest=self.length)[:, :-1]
        return self._predicted(x_BSD, items_BT, real_BT)

    def _predicted(self, x_BSD: Tensor, items_BT: Tensor, learned_BT: Tensor) -> LevelLogits:
        """Logits of the codes of some of the items, each from what stands before it."""
        for block in self.blocks:
            x_BSD = block(x_BSD, causal=True)
        state_BTLD = self.norm(x_BSD).view(len(x_BSD), -1, self.table.levels, x_BSD.shape[-1])
        codes_ML = self.table.codes_NL[items_BT[learned_BT]]
        return self.table.targets(state_BTLD[learned_BT], codes_ML)

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        x_BSD = self._tokens(batch.items_BT, batch.lengths_B, newest=self.length - 1)
        return self._read(x_BSD, batch.lengths_B, beams)

    def _read(self, x_BSD: Tensor, lengths_B: Tensor, beams: int) -> tuple[Tensor, Written]:
        """The same from tokens."""
        token_BSD = x_BSD
        room = 1 + beams * (self.table.levels - 1)
        caches = []
        for block in self.blocks:
            normed_BSD = block.attention_norm(x_BSD)
            seen = block.attention.read(normed_BSD)
            caches.append(Cache(seen, room))
            if len(caches) < len(self.blocks):  # of the last block, only keys and values are used
                mixed_BSD = block.attention.attend(normed_BSD, seen, causal=True)
                x_BSD = block.feed_forward(x_BSD + mixed_BSD)
        # The last token goes through once more, as the first one written.
        last_B1 = lengths_B[:, None] * self.table.levels
        columns_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        written = Written(caches, (columns_S < last_B1)[:, None])
        rows_B1 = torch.arange(len(x_BSD), device=x_BSD.device)[:, None]
        return self._next(written, torch.zeros_like(last_B1), token_BSD[rows_B1, last_B1]), written

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        x_BKD = self.table.embed_level(codes_BK, written.level - 1)
        return self._next(written, parent_BK, x_BKD + self.positions.weight[self.length])

    def _next(self, written: Written, parent_BK: Tensor, x_BKD: Tensor) -> Tensor:
        mask_B1KX = written.branch(parent_BK)
        for block, cache in zip(self.blocks, written.caches, strict=True):
            x_BKD = block.feed_forward(look_back(block, x_BKD, cache, mask_B1KX))
        written.level += 1
        return self.table.logits(self.norm(x_BKD), written.level - 1)


class _DecoderBlock(Block):
    """A block that also looks at what an encoder read."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(
            shape.width,
            heads=shape.heads,
            head_width=shape.head_width,
            inner=shape.inner,
            dropout=shape.dropout,
        )
        self.cross_norm = RMSNorm(shape.width)
        self.cross = Attention(shape.width, shape.heads, shape.head_width)

    def decode(self, x_BLD: Tensor, seen: KeysValues, seen_mask: Tensor) -> Tensor:
        """One continuation per history: look back, then at the history, then think."""
        normed_BLD = self.attention_norm(x_BLD)
        own = self.attention.read(normed_BLD)
        x_BLD = x_BLD + self.dropout(self.attention.attend(normed_BLD, own, causal=True))
        return self.consult(x_BLD, seen, seen_mask)

    def consult(self, x_BXD: Tensor, seen: KeysValues, seen_mask: Tensor | None) -> Tensor:
        """Look at the history, then think."""
        crossed_BXD = self.cross.attend(self.cross_norm(x_BXD), seen, mask=seen_mask)
        return self.feed_forward(x_BXD + self.dropout(crossed_BXD))


class EncoderDecoder(nn.Module):
    """An encoder reads the history's codes in both directions, a decoder writes the next item's.

    Trains on the last target of each window. Arguments as for `DecoderOnly`.
    """

    def __init__(
        self,
        codes_NL: Tensor,
        levels: Sequence[int],
        length: int,
        shape: Shape,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.length = length
        self.table = CodeTable(codes_NL, levels, shape.width, shared=shared)
        self.positions = nn.Embedding(length, shape.width)
        self.encoder = _blocks(shape)
        self.encoder_norm = RMSNorm(shape.width)
        self.decoder = stack(_DecoderBlock(shape) for _ in range(shape.blocks))
        self.norm = RMSNorm(shape.width)
        self.dropout = Dropout(shape.dropout)
        nn.init.normal_(self.positions.weight, std=0.02)

    def _encode(self, batch: SequenceBatch) -> tuple[list[KeysValues], Tensor]:
        """What each decoder block will look at, and where it is real: mask_B11S."""
        place_BT = item_positions(batch.lengths_B, batch.items_BT.shape[1], self.length - 1)
        x_BTLD = self.table.embed_items(batch.items_BT) + self.positions(place_BT)[:, :, None]
        begin_B1D = self.table.begin().expand(len(x_BTLD), 1, -1)
        x_BSD = self.dropout(torch.cat([begin_B1D, x_BTLD.flatten(1, 2)], dim=1))
        columns_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        mask_BS = columns_S < 1 + batch.lengths_B[:, None] * self.table.levels
        mask_B11S = mask_BS[:, None, None]
        for block in self.encoder:
            x_BSD = block(x_BSD, mask=mask_B11S)
        memory_BSD = self.dropout(self.encoder_norm(x_BSD))
        return [block.cross.read(memory_BSD) for block in self.decoder], mask_B11S

    def forward(self, batch: SequenceBatch) -> LevelLogits:
        """Logits of the codes of the item that follows each history."""
        rows_B = torch.arange(len(batch.items_BT), device=batch.items_BT.device)
        codes_BL = self.table.codes_NL[batch.targets_BT[rows_B, batch.lengths_B - 1]]
        begin_B1D = self.table.begin().expand(len(codes_BL), 1, -1)
        x_BLD = self.dropout(torch.cat([begin_B1D, self.table.embed(codes_BL[:, :-1])], dim=1))
        memory, mask_B11S = self._encode(batch)
        for block, seen in zip(self.decoder, memory, strict=True):
            x_BLD = block.decode(x_BLD, seen, mask_B11S)
        return self.table.targets(self.norm(x_BLD), codes_BL)

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        memory, mask_B11S = self._encode(batch)
        queries, room = len(batch.items_BT), 1 + beams * (self.table.levels - 1)
        nothing = [KeysValues(seen.keys[:, :, :0], seen.values[:, :, :0]) for seen in memory]
        caches = [Cache(seen, room) for seen in nothing]
        visible_BKX = mask_B11S.new_zeros(queries, 1, 0)
        written = Written(caches, visible_BKX, memory=memory, memory_mask_B11S=mask_B11S)
        begin_B1D = self.table.begin().expand(queries, 1, -1)
        parent_B1 = torch.zeros(queries, 1, dtype=torch.long, device=visible_BKX.device)
        return self._next(written, parent_B1, begin_B1D), written

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        return self._next(written, parent_BK, self.table.embed_level(codes_BK, written.level - 1))

    def _next(self, written: Written, parent_BK: Tensor, x_BKD: Tensor) -> Tensor:
        mask_B1KX = written.branch(parent_BK)
        for block, cache, seen in zip(self.decoder, written.caches, written.memory, strict=True):
            x_BKD = look_back(block, x_BKD, cache, mask_B1KX)
            x_BKD = block.consult(x_BKD, seen, written.memory_mask_B11S)
        written.level += 1
        return self.table.logits(self.norm(x_BKD), written.level - 1)
