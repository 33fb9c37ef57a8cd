"""Likelihood through the heads of priors: each target trains the heads that it belongs to.

Shapes      M targets, N items, X items of a group, C targets among them, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import chunked_softmax
from itemlm.sample.next_items import SequenceBatch


class ThroughHeads(Objective):
    """-log p of each target by the backbone, and of target and groups by the heads of its groups.

    Needs a model with `model(batch) -> state_BTD`; `heads`, a `PriorHeads`; `groups(batch)`, the
    group_MP of each target; `items_of_groups`, the items that each group of the first prior
    chooses from, since a target is scored against those of its own; and `share`, that of the
    backbone in the answers: 1 without any heads, 0 with heads alone.
    """

    def forward(self, model: Any, batch: SequenceBatch) -> dict[str, Tensor]:
        """The means over the targets of the batch."""
        state_MD, items_ND = batch.at_targets(model(batch)), model.item_vectors()
        targets_M = batch.at_targets(batch.targets_BT)
        terms = {}
        if model.share > 0:
            terms["softmax"] = chunked_softmax(state_MD, items_ND, targets_M)
        if model.share < 1:
            state_MD, surprise = model.heads(state_MD, model.groups(batch))
            terms["groups"] = surprise
            terms["heads"] = _within(model.items_of_groups, state_MD, items_ND, targets_M)
        return terms


def _within(
    groups: Sequence[Tensor], state_MD: Tensor, items_ND: Tensor, targets_M: Tensor
) -> Tensor:
    """Cross-entropy of each target among the items of its group, the mean over all targets."""
    loss = torch.zeros((), device=state_MD.device)
    for row_X in groups:
        place_N = torch.full((len(items_ND),), -1, device=row_X.device)
        place_N[row_X] = torch.arange(len(row_X), device=row_X.device)
        place_M = place_N[targets_M]
        mine_C = (place_M >= 0).nonzero()[:, 0]
        if len(mine_C):
            mean = chunked_softmax(state_MD[mine_C], items_ND[row_X], place_M[mine_C])
            loss = loss + mean * (len(mine_C) / len(targets_M))
    return loss


def through_heads() -> ThroughHeads:
    """Each target through its own heads; see `ThroughHeads`."""
    return ThroughHeads()
