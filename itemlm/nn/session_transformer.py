"""An encoder-decoder that writes a whole session, item after item, with experts in its decoder.

The decoder's sequence is (begin, c1, ..., cL) for each item of the session in turn, and every code
may look at all before it, those of earlier items included.

Shapes      B histories, T items read, M items of a session, L codes per item, K continuations,
            S tokens of a session, V codes of a level, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from itemlm.nn.attention import KeysValues
from itemlm.nn.code_transformer import EncoderDecoder, LevelLogits, Shape
from itemlm.nn.experts import Experts
from itemlm.nn.written import Cache, Written
from itemlm.sample.sessions import SessionBatch


@dataclass(slots=True)
class WrittenSession(Written):
    """What is written of the item in `place` of a session, counted from 0."""

    place: int = 0


class SessionTransformer(EncoderDecoder):
    """Reads a history, writes what is taken next in one go.

    Args:
        codes_NL: Semantic ID of each item.
        levels: codes in each level.
        length: most items read.
        session: most items written.
        shape: sizes; `inner` is that of each expert, and of the encoder.
        experts: in each layer of the decoder.
        top: of which each token uses so many.
        shared: whether a code means the same on every level.
    """

    def __init__(
        self,
        codes_NL: Tensor,
        levels: Sequence[int],
        length: int,
        session: int,
        shape: Shape,
        *,
        experts: int,
        top: int,
        shared: bool = False,
    ) -> None:
        super().__init__(codes_NL, levels, length, shape, shared=shared)
        self.places = nn.Embedding(session, shape.width)
        nn.init.normal_(self.places.weight, std=0.02)
        self.experts = [Experts(shape.width, shape.inner, experts, top) for _ in self.decoder]
        for block, layer in zip(self.decoder, self.experts, strict=True):
            block.feed = cast(Any, layer)

    def _states(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """[B, M, L, D] before each code of a session, and its codes_BML."""
        codes_BML = self.table.codes_NL[batch.session_BM.clamp(min=0)]
        memory, mask_B11S = self._encode(cast(Any, batch))
        x_BSD = self.dropout(self._tokens(codes_BML))
        real_BS = (batch.session_BM >= 0).repeat_interleave(1 + codes_BML.shape[2], dim=1)
        for block, experts, seen in zip(self.decoder, self.experts, memory, strict=True):
            experts.real = real_BS
            x_BSD = block.decode(x_BSD, seen, mask_B11S)
            experts.real = None
        state_BMLD = self.norm(x_BSD).unflatten(1, (codes_BML.shape[1], -1))[:, :, :-1]
        return state_BMLD, codes_BML

    def _tokens(self, codes_BML: Tensor) -> Tensor:
        """[B, M * (1 + L), D] a beginning and the codes of each item, and its place."""
        code_BMLD = self.table.embed(codes_BML)
        begin_BM1D = self.table.begin().expand(*codes_BML.shape[:2], 1, -1)
        x_BMSD = torch.cat([begin_BM1D, code_BMLD], dim=2)
        place_M1D = self.places.weight[: codes_BML.shape[1], None]
        return (x_BMSD + place_M1D).flatten(1, 2)

    def forward(self, batch: SessionBatch) -> LevelLogits:  # type: ignore[override]
        """Logits of all codes of the sessions, level by level."""
        state_BMLD, codes_BML = self._states(batch)
        real_BM = batch.session_BM >= 0
        return self.table.targets(state_BMLD[real_BM], codes_BML[real_BM])

    def log_probabilities(self, batch: SessionBatch) -> Tensor:
        """[B] of the whole sessions, with gradients: what preference alignment compares."""
        state_BMLD, codes_BML = self._states(batch)
        total_B = torch.zeros(len(codes_BML), device=codes_BML.device)
        for level, codes_BM in enumerate(codes_BML.unbind(2)):
            log_BMV = self.table.logits(state_BMLD[:, :, level], level).float().log_softmax(-1)
            log_BM = log_BMV.gather(2, codes_BM.clamp(min=0)[..., None])[..., 0]
            total_B = total_B + log_BM.where((codes_BM >= 0) & (batch.session_BM >= 0), 0.0).sum(1)
        return total_B

    def read(self, batch: SessionBatch, beams: int) -> tuple[Tensor, Written]:  # type: ignore[override]
        """logits_B1V of the first code of the item after those that the sessions begin with.

        All sessions of a batch begin with the same number of items, which may be none. Also
        returns what `write` continues in up to so many beams.
        """
        memory, mask_B11S = self._encode(cast(Any, batch))
        queries, place = batch.session_BM.shape
        x_BSD = self._tokens(self.table.codes_NL[batch.session_BM])
        room = 1 + beams * (self.table.levels - 1)
        caches = []
        for block, seen in zip(self.decoder, memory, strict=True):
            if place:
                own = block.attention.read(block.attention_norm(x_BSD))
                x_BSD = block.decode(x_BSD, seen, mask_B11S)
            else:
                own = KeysValues(seen.keys[:, :, :0], seen.values[:, :, :0])
            caches.append(Cache(own, room))
        visible_B1S = mask_B11S.new_ones(queries, 1, x_BSD.shape[1])
        written = WrittenSession(
            caches, visible_B1S, memory=memory, memory_mask_B11S=mask_B11S, place=place
        )
        begin_B1D = (self.table.begin() + self.places.weight[place]).expand(queries, 1, -1)
        parent_B1 = torch.zeros(queries, 1, dtype=torch.long, device=begin_B1D.device)
        return self._next(written, parent_B1, begin_B1D), written

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        assert isinstance(written, WrittenSession)
        x_BKD = self.table.embed_level(codes_BK, written.level - 1)
        return self._next(written, parent_BK, x_BKD + self.places.weight[written.place])
