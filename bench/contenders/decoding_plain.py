"""The same transformers, beginning anew for every code of every beam."""

from __future__ import annotations

from typing import Any

import search
import torch
from torch import Tensor

from itemlm.nn.attention import KeysValues
from itemlm.nn.code_transformer import EncoderDecoder
from itemlm.sample.next_items import SequenceBatch


class FromTheStart:
    """For every code: the training pass over the history and an item that begins with the codes."""

    def __init__(self) -> None:
        self.model = search.model()
        self.row_of_prefix = {
            tuple(codes[:length]): row
            for row, codes in enumerate(search.codes_NL.tolist())
            for length in range(len(codes))
        }

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, dict[str, Any]]:
        """The first code's logits, and the codes so far."""
        nothing_B10 = torch.zeros(len(batch.items_BT), 1, 0, dtype=torch.long)
        written = {"items_BT": batch.items_BT, "codes_BKl": nothing_B10}
        return self._logits(**written), written

    def write(self, written: dict[str, Any], parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """The next code's logits."""
        rows_B1 = torch.arange(len(parent_BK))[:, None]
        parents_BKl = written["codes_BKl"][rows_B1, parent_BK]
        written["codes_BKl"] = torch.cat([parents_BKl, codes_BK[..., None]], dim=2)
        return self._logits(**written)

    def _logits(self, items_BT: Tensor, codes_BKl: Tensor) -> Tensor:
        queries, beams, level = codes_BKl.shape
        prefixes = codes_BKl.flatten(0, 1).tolist()
        # Later codes of that item do not matter: no code looks ahead.
        next_X1 = torch.tensor([[self.row_of_prefix[tuple(prefix)]] for prefix in prefixes])
        items_XT = items_BT.repeat_interleave(beams, dim=0)
        targets_XT = torch.cat([items_XT[:, 1:], next_X1], dim=1)
        lengths_X = torch.full((len(items_XT),), items_XT.shape[1])
        logits, _ = self.model(SequenceBatch(items_XT, lengths_X, targets_XT))[level]
        return logits.view(queries * beams, -1, logits.shape[1])[:, -1].view(queries, beams, -1)


class HistoryOnce:
    """The encoder's output is kept, copied per beam; the decoder begins anew for every code."""

    def __init__(self, model: EncoderDecoder) -> None:
        self.model = model

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, dict[str, Any]]:
        """The first code's logits, and the memory and codes so far."""
        memory, mask_B11S = self.model._encode(batch)
        nothing_B10 = torch.zeros(len(mask_B11S), 1, 0, dtype=torch.long)
        written = {"memory": memory, "mask_X11S": mask_B11S, "codes_BKl": nothing_B10}
        return self._logits(**written), written

    def write(self, written: dict[str, Any], parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """The next code's logits."""
        copies = len(parent_BK) * parent_BK.shape[1] // len(written["mask_X11S"])
        written["mask_X11S"] = written["mask_X11S"].repeat_interleave(copies, dim=0)
        written["memory"] = [
            KeysValues(
                seen.keys.repeat_interleave(copies, dim=0),
                seen.values.repeat_interleave(copies, dim=0),
            )
            for seen in written["memory"]
        ]
        rows_B1 = torch.arange(len(parent_BK))[:, None]
        parents_BKl = written["codes_BKl"][rows_B1, parent_BK]
        written["codes_BKl"] = torch.cat([parents_BKl, codes_BK[..., None]], dim=2)
        return self._logits(**written)

    def _logits(self, memory: list[KeysValues], mask_X11S: Tensor, codes_BKl: Tensor) -> Tensor:
        table, codes_Xl = self.model.table, codes_BKl.flatten(0, 1)
        begin_X1D = table.begin().expand(len(codes_Xl), 1, -1)
        x_XlD = torch.cat([begin_X1D, table.embed(codes_Xl)], dim=1)
        for block, seen in zip(self.model.decoder, memory, strict=True):
            x_XlD = block.decode(x_XlD, seen, mask_X11S)
        logits_XV = table.logits(self.model.norm(x_XlD[:, -1]), codes_Xl.shape[1])
        return logits_XV.view(*codes_BKl.shape[:2], -1)


search.race(HistoryOnce(search.model()) if search.asked.get("once") else FromTheStart())
