"""Binary cross-entropy against sampled negatives, as SASRec was published.

Shapes      B histories, T positions, M positions with a target, K negatives, N items, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, logsigmoid

from itemlm.objectives.objective import Objective
from itemlm.sample.next_items import SequenceBatch


class BCE(Objective):
    """-log sigma(score of the target) - mean over negatives of log sigma(-score).

    Kang and McAuley 2018, equation 6. Negatives are uniform over the catalog; one that happens to
    be in the same window is left out of the sum, as a false negative.
    """

    def __init__(self, negatives: int) -> None:
        super().__init__()
        self.negatives = negatives

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """The mean over the targets of the batch."""
        state_MD = batch.at_targets(model(batch))
        items_ND = model.item_vectors()  # type: ignore[operator]
        targets_M = batch.at_targets(batch.targets_BT)
        sampled_MK = torch.randint(
            len(items_ND), (len(targets_M), self.negatives), device=targets_M.device
        )
        target_M = (state_MD * embedding(targets_M, items_ND)).sum(-1)
        negative_MK = (state_MD[:, None] * embedding(sampled_MK, items_ND)).sum(-1)
        is_false_MK = in_own_window(sampled_MK, batch, len(items_ND))
        loss_MK = logsigmoid(-negative_MK).masked_fill(is_false_MK, 0.0)
        return {"bce": -(logsigmoid(target_M) + loss_MK.mean(-1)).mean()}


def in_own_window(rows_MK: Tensor, batch: SequenceBatch, items: int) -> Tensor:
    """[M, K] whether an item is among those that the window of its position reads or predicts.

    The plain version compares each item with each of its window. Here (window, item) is one number,
    and sets of numbers are compared by sorting.
    """
    seen_BT = torch.cat([batch.items_BT, batch.targets_BT], dim=1)
    window_B1 = torch.arange(len(seen_BT), device=seen_BT.device)[:, None]
    window_M = batch.at_targets(window_B1.expand_as(batch.targets_BT))
    # Padding is -1 or the row after the last: without it, items + 1 numbers a window are enough.
    base = items + 1
    seen_BT = torch.where(seen_BT < 0, items, seen_BT)
    return torch.isin(window_M[:, None] * base + rows_MK, window_B1 * base + seen_BT)


def bce(negatives: int = 1) -> BCE:
    """Binary cross-entropy with uniform negatives; see `BCE`."""
    return BCE(negatives)
