"""Transformers that read histories as Semantic IDs and write the next item's, code by code.

Two of them share one interface: `model(batch)` gives the training logits; `read` looks at a history
once, and `write` scores the next code of many continuations of it, which is all that beam search
needs. In `write` the beams of a query are laid out one after another along the query axis and kept
apart by a mask, so that the history's keys and values are never copied per beam.

Shapes      B histories, T items, L codes per item, S tokens read, K continuations of l codes,
            M items to predict, V codes of a level, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from itemlm.nn.attention import Attention, Block, KeysValues, stack
from itemlm.sample.next_items import SequenceBatch

LevelLogits = list[tuple[Tensor, Tensor]]  # per level: logits_MV and the right codes_M


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a code transformer; the defaults are TIGER's (Rajput et al. 2023, section 4.1)."""

    width: int = 128
    blocks: int = 4
    heads: int = 6
    head_width: int = 64
    inner: int = 1024
    dropout: float = 0.1


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
    that can come next.
    """

    codes_NL: Tensor

    def __init__(self, codes_NL: Tensor, levels: Sequence[int], width: int) -> None:
        super().__init__()
        starts = torch.tensor([0, *levels]).cumsum(0)
        padding = torch.zeros(1, codes_NL.shape[1], dtype=torch.long)
        self.register_buffer("codes_NL", torch.cat([codes_NL.long(), padding]))
        self.starts = starts.tolist()
        self.vectors = nn.Embedding(self.starts[-1] + 1, width)  # the last one begins a sequence
        self.outputs = stack(nn.Linear(width, size, bias=False) for size in levels)
        nn.init.normal_(self.vectors.weight, std=0.02)

    @property
    def levels(self) -> int:
        """Codes per item."""
        return len(self.outputs)

    def begin(self) -> Tensor:
        """[D] the vector that begins a sequence."""
        return self.vectors.weight[-1]

    def embed(self, codes: Tensor) -> Tensor:
        """[..., l, D] vectors of codes [..., l] of the first l levels."""
        starts_L = torch.tensor(self.starts, device=codes.device)[: codes.shape[-1]]
        out: Tensor = self.vectors(codes + starts_L)
        return out

    def embed_items(self, items_BT: Tensor) -> Tensor:
        """[B, T, L, D] the vectors of the codes of items."""
        return self.embed(self.codes_NL[items_BT])

    def logits(self, state: Tensor, level: int) -> Tensor:
        """[..., V] over the codes of a level."""
        out: Tensor = self.outputs[level](state)
        return out


def item_positions(lengths_B: Tensor, width: int, newest: int) -> Tensor:
    """[B, width] position of each item, counted so that the last of every history is `newest`."""
    age_BT = lengths_B[:, None] - 1 - torch.arange(width, device=lengths_B.device)
    return (newest - age_BT).clamp(min=0, max=newest)


def apart(beams: int, length: int, device: torch.device) -> Tensor:
    """[K * l, K * l] True where one code of a beam may look at another of the same beam."""
    beam = torch.arange(beams * length, device=device) // length
    step = torch.arange(beams * length, device=device) % length
    return (beam[:, None] == beam) & (step[:, None] >= step)


@dataclass(frozen=True, slots=True)
class Context:
    """A history that has been read.

    Attributes:
        seen: keys and values, one per block.
        mask_B11S: True at real tokens.
        last_BD: state after the last token; None for an encoder.
    """

    seen: list[KeysValues]
    mask_B11S: Tensor
    last_BD: Tensor | None


class DecoderOnly(nn.Module):
    """One causal transformer over all codes: each code of a window is a target in one pass.

    Args:
        codes_NL: Semantic ID of each item.
        levels: codes in each level.
        length: most items read.
        shape: sizes.
    """

    def __init__(self, codes_NL: Tensor, levels: Sequence[int], length: int, shape: Shape) -> None:
        super().__init__()
        self.length = length
        self.table = CodeTable(codes_NL, levels, shape.width)
        self.positions = nn.Embedding(length + 1, shape.width)
        self.blocks = _blocks(shape)
        self.norm = nn.RMSNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
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
        for block in self.blocks:
            x_BSD = block(x_BSD, causal=True)
        state_BTLD = self.norm(x_BSD).view(len(x_BSD), -1, self.table.levels, x_BSD.shape[-1])
        codes_ML = self.table.codes_NL[items_BT[real_BT]]
        return [
            (self.table.logits(state_BTLD[:, :, level][real_BT], level), codes_ML[:, level])
            for level in range(self.table.levels)
        ]

    def read(self, batch: SequenceBatch) -> Context:
        """Keys and values of a history in every block."""
        x_BSD = self._tokens(batch.items_BT, batch.lengths_B, newest=self.length - 1)
        seen = []
        for block in self.blocks:
            seen.append(block.attention.read(block.attention_norm(x_BSD)))
            x_BSD = block(x_BSD, causal=True)
        tokens_B = 1 + batch.lengths_B * self.table.levels
        columns_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        mask_BS = columns_S < tokens_B[:, None]
        rows_B = torch.arange(len(x_BSD), device=x_BSD.device)
        last_BD = self.norm(x_BSD[rows_B, tokens_B - 1])
        return Context(seen, mask_BS[:, None, None], last_BD)

    def write(self, context: Context, codes_BKl: Tensor) -> Tensor:
        """logits_BKV of the code after each continuation."""
        queries, beams, length = codes_BKl.shape
        if length == 0:
            assert context.last_BD is not None
            return self.table.logits(context.last_BD, 0)[:, None].expand(-1, beams, -1)
        x_BXD = self.table.embed(codes_BKl).flatten(1, 2) + self.positions.weight[self.length]
        own_XX = apart(beams, length, x_BXD.device)
        mask_B1XS = torch.cat(
            [
                context.mask_B11S.expand(-1, 1, beams * length, -1),
                own_XX.expand(queries, 1, -1, -1),
            ],
            dim=-1,
        )
        for block, history in zip(self.blocks, context.seen, strict=True):
            normed_BXD = block.attention_norm(x_BXD)
            own = block.attention.read(normed_BXD)
            both = KeysValues(
                torch.cat([history.keys, own.keys], dim=2),
                torch.cat([history.values, own.values], dim=2),
            )
            x_BXD = x_BXD + block.attention.attend(normed_BXD, both, mask=mask_B1XS)
            x_BXD = block.feed_forward(x_BXD)
        last_BKD = self.norm(x_BXD.view(queries, beams, length, -1)[:, :, -1])
        return self.table.logits(last_BKD, length)


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
        self.cross_norm = nn.RMSNorm(shape.width)
        self.cross = Attention(shape.width, shape.heads, shape.head_width)

    def decode(
        self, x_BXD: Tensor, own_mask: Tensor, seen: KeysValues, seen_mask: Tensor
    ) -> Tensor:
        """Look at one's own beam, then at the history, then think."""
        normed_BXD = self.attention_norm(x_BXD)
        own = self.attention.read(normed_BXD)
        x_BXD = x_BXD + self.dropout(self.attention.attend(normed_BXD, own, mask=own_mask))
        crossed = self.cross.attend(self.cross_norm(x_BXD), seen, mask=seen_mask)
        return self.feed_forward(x_BXD + self.dropout(crossed))


class EncoderDecoder(nn.Module):
    """An encoder reads the history's codes in both directions, a decoder writes the next item's.

    Trains on the last target of each window. Arguments as for `DecoderOnly`.
    """

    def __init__(self, codes_NL: Tensor, levels: Sequence[int], length: int, shape: Shape) -> None:
        super().__init__()
        self.length = length
        self.table = CodeTable(codes_NL, levels, shape.width)
        self.positions = nn.Embedding(length, shape.width)
        self.encoder = _blocks(shape)
        self.encoder_norm = nn.RMSNorm(shape.width)
        self.decoder = stack(_DecoderBlock(shape) for _ in range(shape.blocks))
        self.norm = nn.RMSNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        nn.init.normal_(self.positions.weight, std=0.02)

    def read(self, batch: SequenceBatch) -> Context:
        """What each decoder block will look at."""
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
        return Context([b.cross.read(memory_BSD) for b in self.decoder], mask_B11S, None)

    def _decode(self, context: Context, codes_BKl: Tensor) -> Tensor:
        """[B, K, 1 + l, D] the state before and after each code of each continuation."""
        queries, beams, length = codes_BKl.shape
        begin_BK1D = self.table.begin().expand(queries, beams, 1, -1)
        x_BXD = torch.cat([begin_BK1D, self.table.embed(codes_BKl)], dim=2).flatten(1, 2)
        x_BXD = self.dropout(x_BXD)
        own_XX = apart(beams, length + 1, x_BXD.device)
        for block, seen in zip(self.decoder, context.seen, strict=True):
            x_BXD = block.decode(x_BXD, own_XX, seen, context.mask_B11S)
        state_BXD: Tensor = self.norm(x_BXD)
        return state_BXD.view(queries, beams, length + 1, -1)

    def forward(self, batch: SequenceBatch) -> LevelLogits:
        """Logits of the codes of the item that follows each history."""
        rows_B = torch.arange(len(batch.items_BT), device=batch.items_BT.device)
        codes_BL = self.table.codes_NL[batch.targets_BT[rows_B, batch.lengths_B - 1]]
        state_B1LD = self._decode(self.read(batch), codes_BL[:, None, :-1])
        return [
            (self.table.logits(state_B1LD[:, 0, level], level), codes_BL[:, level])
            for level in range(self.table.levels)
        ]

    def write(self, context: Context, codes_BKl: Tensor) -> Tensor:
        """logits_BKV of the code after each continuation."""
        state_BKD = self._decode(context, codes_BKl)[:, :, -1]
        return self.table.logits(state_BKD, codes_BKl.shape[2])
