"""Binary cross-entropy against sampled negatives, as SASRec was published.

Shapes      B histories, T positions, M positions with a target, K negatives, N items, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

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
        has_target_BT = batch.targets_BT >= 0
        state_MD = model(batch)[has_target_BT]
        items_ND = model.item_vectors()  # type: ignore[operator]
        targets_M = batch.targets_BT[has_target_BT]
        sampled_MK = torch.randint(
            len(items_ND), (len(targets_M), self.negatives), device=targets_M.device
        )
        # All items of each window: what it reads and what follows.
        query_M = has_target_BT.nonzero()[:, 0]
        seen_BT = torch.cat([batch.items_BT, batch.targets_BT], dim=1)
        false_MK = (sampled_MK[:, :, None] == seen_BT[query_M][:, None, :]).any(-1)
        target_M = (state_MD * items_ND[targets_M]).sum(-1)
        negative_MK = torch.einsum("md,mkd->mk", state_MD, items_ND[sampled_MK])
        loss_MK = logsigmoid(-negative_MK).masked_fill(false_MK, 0.0)
        return {"bce": -(logsigmoid(target_M) + loss_MK.mean(-1)).mean()}


def bce(negatives: int = 1) -> BCE:
    """Binary cross-entropy with uniform negatives; see `BCE`."""
    return BCE(negatives)
