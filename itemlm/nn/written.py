"""What many continuations of a history share while they are written, code by code.

The keys and values of all codes stay where they were written, one after another, and a mask tells
each continuation which of them are its own. So neither the history nor what is written is ever
copied per beam, and each code goes through the blocks once.

Shapes      B histories, K continuations of each, X tokens that are cached, S tokens of a memory,
            D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from itemlm.nn.attention import Block, KeysValues


class Cache:
    """Keys and values of one block, with room for those of every code that a search writes.

    Args:
        seen: those of a history.
        room: codes that may follow, of all its continuations together.
    """

    def __init__(self, seen: KeysValues, room: int) -> None:
        batch, heads, self.filled, width = seen.keys.shape
        self.keys = seen.keys.new_empty(batch, heads, self.filled + room, width)
        self.values = torch.empty_like(self.keys)
        self.keys[:, :, : self.filled] = seen.keys
        self.values[:, :, : self.filled] = seen.values

    def add(self, new: KeysValues) -> KeysValues:
        """All so far, with the new ones at the end."""
        if torch.is_grad_enabled():  # what a gradient needs may not be written over
            old = self.keys[:, :, : self.filled], self.values[:, :, : self.filled]
            self.keys = torch.cat([old[0], new.keys], dim=2)
            self.values = torch.cat([old[1], new.values], dim=2)
            self.filled = self.keys.shape[2]
            return KeysValues(self.keys, self.values)
        start, self.filled = self.filled, self.filled + new.keys.shape[2]
        self.keys[:, :, start : self.filled] = new.keys
        self.values[:, :, start : self.filled] = new.values
        return KeysValues(self.keys[:, :, : self.filled], self.values[:, :, : self.filled])


@dataclass(slots=True)
class Written:
    """The continuations of each history, as far as they are written.

    Attributes:
        caches: one per block.
        visible_BKX: True where a continuation may look among what is cached.
        level: of the next code.
        memory: what an encoder read: keys and values for each block; empty for a decoder alone.
        memory_mask_B11S: True at real tokens of the memory.
    """

    caches: list[Cache]
    visible_BKX: Tensor
    level: int = 0
    memory: Sequence[KeysValues] = ()
    memory_mask_B11S: Tensor | None = None

    def branch(self, parent_BK: Tensor) -> Tensor:
        """[B, 1, K, X] what may be seen by a new code of each continuation, given its parent.

        Nothing that is cached moves: a continuation sees what its parent saw, and its new code.
        """
        queries, beams = parent_BK.shape
        rows_B1 = torch.arange(queries, device=parent_BK.device)[:, None]
        own_KK = torch.eye(beams, dtype=torch.bool, device=parent_BK.device)
        self.visible_BKX = torch.cat(
            [self.visible_BKX[rows_B1, parent_BK], own_KK.expand(queries, -1, -1)], dim=2
        )
        return self.visible_BKX[:, None]


def look_back(block: Block, x_BKD: Tensor, cache: Cache, mask_B1KX: Tensor) -> Tensor:
    """Self-attention from one new code of each continuation, which the cache then holds."""
    normed_BKD = block.attention_norm(x_BKD)
    seen = cache.add(block.attention.read(normed_BKD))
    return x_BKD + block.attention.attend(normed_BKD, seen, mask=mask_B1KX)
