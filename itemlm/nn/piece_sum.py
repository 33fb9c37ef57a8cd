"""Item vectors made of shared parts: the sum of some rows of a table, or a projection of a vector.

Both stand where a ranker has one row per item, and both know items that nobody has taken yet.

Shapes      N items, M new items, G rows of an item at most, D width, E width of given vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from itemlm.nn.linear import Linear


class PieceSum(nn.Module):
    """Each item is the sum of the table's rows that its features are hashed to.

    Args:
        rows_NG: rows of each item, -1 where it has fewer.
        table: rows of the table.
        width: of the vectors.
    """

    rows_NG: Tensor

    def __init__(self, rows_NG: Tensor, table: int, width: int) -> None:
        super().__init__()
        rows_NG = rows_NG.long()
        self.register_buffer("rows_NG", rows_NG.where(rows_NG >= 0, table))
        self.table = nn.EmbeddingBag(table + 1, width, mode="sum", padding_idx=table)
        mean_rows = (rows_NG >= 0).sum(1).float().mean().clamp(min=1)
        nn.init.normal_(self.table.weight, std=0.02 / float(mean_rows) ** 0.5)
        with torch.no_grad():
            self.table.weight[table].zero_()

    def vectors(self) -> Tensor:
        """items_ND."""
        items_ND: Tensor = self.table(self.rows_NG)
        return items_ND

    def forward(self, items: Tensor) -> Tensor:
        """[..., D] of items [...]; the row after the last is padding and means nothing."""
        rows = self.rows_NG[items.clamp(max=len(self.rows_NG) - 1)]
        vectors: Tensor = self.table(rows.flatten(0, -2)).view(*items.shape, -1)
        return vectors

    def append(self, rows_MG: Tensor) -> None:
        """New items in the rows after the last, made of what was learned from others."""
        empty = self.table.num_embeddings - 1
        rows_MG = rows_MG.long().where(rows_MG >= 0, empty)
        room = max(self.rows_NG.shape[1], rows_MG.shape[1])
        old, new = (
            pad(rows, (0, room - rows.shape[1]), value=empty)
            for rows in (self.rows_NG, rows_MG.to(self.rows_NG.device))
        )
        self.rows_NG = torch.cat([old, new])


class Projected(nn.Module):
    """Each item is a learned projection of a vector that is given and stays as it is."""

    given_NE: Tensor

    def __init__(self, given_NE: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("given_NE", given_NE.float())
        self.project = Linear(given_NE.shape[1], width)

    def vectors(self) -> Tensor:
        """items_ND."""
        items_ND: Tensor = self.project(self.given_NE)
        return items_ND

    def forward(self, items: Tensor) -> Tensor:
        """[..., D] of items [...]; the row after the last is padding and means nothing."""
        vectors: Tensor = self.project(self.given_NE[items.clamp(max=len(self.given_NE) - 1)])
        return vectors
