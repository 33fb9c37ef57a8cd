"""Cross-entropy of all codes of the next item at once, where no code depends on another.

Shapes      B windows, T items, M items to predict, U codes in use on a level, D width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from itemlm.nn.item_blocks import ItemBlocks
from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import chunked_softmax
from itemlm.sample.next_items import SequenceBatch


class AllCodes(Objective):
    """Cross-entropy of every code, over the codes of its level that some item has.

    Needs an `ItemBlocks`.
    """

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """The mean over codes and items, the first of each window among them."""
        blocks = cast(ItemBlocks, model)
        targets_BT = torch.cat([batch.items_BT[:, :1], batch.targets_BT], dim=1)
        is_real_BT = targets_BT >= 0
        *codes, last_M = blocks.items.codes_NL[targets_BT[is_real_BT]].unbind(1)
        *states, last_MD = blocks.states(batch)[is_real_BT].unbind(1)
        losses = [cross_entropy(blocks.written_last(last_MD).float(), last_M)]
        for state_MD, codes_M, grid, used_U in zip(
            states, codes, blocks.written_codes, blocks.items.used, strict=True
        ):
            place_M = torch.searchsorted(used_U, codes_M.contiguous())
            losses.append(chunked_softmax(state_MD.contiguous(), grid(used_U), place_M))
        return {"all_codes": torch.stack(losses).mean()}


def all_codes() -> AllCodes:
    """Cross-entropy of all codes of the next item; see `AllCodes`."""
    return AllCodes()
