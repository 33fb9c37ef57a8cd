"""InfoNCE: of all right answers in a batch, find the own one.

Shapes      B pairs, D width, N items, Q searches, E width of given vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from itemlm.objectives.objective import Objective
from itemlm.sample.pairs import PairBatch


def info_nce(
    asked_BD: Tensor, answer_BD: Tensor, temperature: float, same_B: Tensor | None = None
) -> Tensor:
    """Mean of -log softmax_b(asked_b . answer_c / temperature) at c = b, over all answers c.

    van den Oord, Li and Vinyals 2018. The other answers of the batch are the negatives.

    Args:
        asked_BD, answer_BD: vectors of length 1.
        temperature: small ones look at the nearest negatives only.
        same_B: a number of each pair's answer; another pair with the same one is no negative.
    """
    logits_BC = asked_BD.float() @ answer_BD.float().T / temperature
    rows_B = torch.arange(len(logits_BC), device=logits_BC.device)
    if same_B is not None:
        twin_BC = same_B[:, None] == same_B
        twin_BC[rows_B, rows_B] = False
        logits_BC = logits_BC.masked_fill(twin_BC, -torch.inf)
    return cross_entropy(logits_BC, rows_B)


class BothTasks(Objective):
    """InfoNCE of searches and what was meant, plus InfoNCE of items that were taken together.

    Penha et al. 2025. Needs a model that maps given vectors to vectors of length 1; a batch without
    pairs of one kind has no term of it.

    Args:
        given_NE: of the items' texts.
        given_QE: of the searches.
        temperature: of both losses.
    """

    given_NE: Tensor
    given_QE: Tensor

    def __init__(self, given_NE: Tensor, given_QE: Tensor, temperature: float) -> None:
        super().__init__()
        self.register_buffer("given_NE", given_NE, persistent=False)
        self.register_buffer("given_QE", given_QE, persistent=False)
        self.temperature = temperature

    def forward(self, model: nn.Module, batch: PairBatch) -> dict[str, Tensor]:
        """The mean of each kind over the batch."""
        terms = {}
        if len(batch.meant_B):
            asked_BE = model(self.given_QE[batch.searches_B])
            meant_BE = model(self.given_NE[batch.meant_B])
            terms["search"] = info_nce(asked_BE, meant_BE, self.temperature, batch.meant_B)
        if len(batch.next_items_B):
            item_BE = model(self.given_NE[batch.items_B])
            next_BE = model(self.given_NE[batch.next_items_B])
            same_B = batch.next_items_B
            terms["together"] = info_nce(item_BE, next_BE, self.temperature, same_B)
        return terms
