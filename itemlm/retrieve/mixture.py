"""Retrieval by a mixture: several states per history, each with a share of the probability.

    p(item | history)  =  sum over heads h of  share(h) softmax over h's items of (state(h) . item)

Shapes      B queries, H heads, N items, X items of a head, D width, K places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.nn.linear import product
from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import FloatArray, IntArray, QueryBatch


class MixtureModel(Protocol):
    """Reads histories: `mixture(batch)` gives state_BHD and the log of their shares, log_BH.

    `items_of_heads` are the rows of the items that each head chooses from.
    """

    @property
    def items_of_heads(self) -> Sequence[Tensor]: ...

    def mixture(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]: ...

    def item_vectors(self) -> Tensor: ...

    def state_dict(self) -> dict[str, Any]: ...

    def train(self, mode: bool = True) -> Any: ...

    def parameters(self) -> Any: ...


class Mixture(Recommender):
    """Scores every item by the log of its probability in all heads together."""

    def __init__(
        self, paper: str, model: MixtureModel, catalog: Catalog, config: Any, length: int
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        model.train(False)  # once; several threads may ask at a time
        self.model, self.length = model, length

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query, exactly."""
        return topk_in_blocks(self._log_probabilities, batch, k, len(self.catalog))

    def _log_probabilities(self, batch: QueryBatch) -> FloatArray:
        items_ND = self.model.item_vectors()
        rows_BT, lengths_B = batch.last_items(self.length, empty=len(self.catalog))
        items_BT = torch.from_numpy(rows_BT)
        histories = SequenceBatch(
            items_BT,
            torch.from_numpy(np.maximum(lengths_B, 1)),
            torch.full_like(items_BT, -1),
        )
        state_BHD, log_BH = self.model.mixture(histories.to(items_ND.device))
        total_BN = torch.zeros(len(rows_BT), len(items_ND), device=items_ND.device)
        heads = zip(state_BHD.unbind(1), log_BH.unbind(1), self.model.items_of_heads, strict=True)
        for state_BD, log_B, row_X in heads:
            chance_BX = product(state_BD, items_ND[row_X]).float().softmax(-1)
            total_BN[:, row_X] += chance_BX * log_B.exp()[:, None]
        log_BN: FloatArray = total_BN.clamp_(min=1e-30).log_().cpu().numpy()
        return log_BN

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return sum(weights.numel() for weights in self.model.parameters())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights."""
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}
