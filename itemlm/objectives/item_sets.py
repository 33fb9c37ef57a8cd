"""The loss of items that are sets of tokens: every query has to find its token of the next item.

Shapes      B windows, T items, M positions with a target, Q queries, N items, W items with events,
            D width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from itemlm.nn.item_sets import ItemSets
from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import chunked_softmax
from itemlm.sample.next_items import SequenceBatch


class SetLoss(Objective):
    """Cross-entropy of every query over the items with events, and what the autoencoder loses.

    Needs an `ItemSets`.

    Args:
        reconstruction: weight of the latter.
    """

    def __init__(self, reconstruction: float) -> None:
        super().__init__()
        self.reconstruction = reconstruction

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """Means over queries, targets and numbers."""
        sets = cast(ItemSets, model)
        tokens_NQD = sets.compute_items()
        state_MQD = batch.at_targets(sets.states(batch, tokens_NQD))
        targets_M = batch.at_targets(batch.targets_BT)
        # Only items with events can be targets; the others are not learned to be wrong.
        warm_WQD = tokens_NQD[sets.warm_W]
        place_M = torch.searchsorted(sets.warm_W, targets_M)
        losses = [
            chunked_softmax(state_MD.contiguous(), warm_WD.contiguous(), place_M)
            for state_MD, warm_WD in zip(state_MQD.unbind(1), warm_WQD.unbind(1), strict=True)
        ]
        lost = sets.lost(tokens_NQD, targets_M)
        return {"set": torch.stack(losses).mean(), "reconstruction": self.reconstruction * lost}


def item_sets(reconstruction: float) -> SetLoss:
    """Cross-entropy of every query, and what is lost in making tokens; see `SetLoss`."""
    return SetLoss(reconstruction)
