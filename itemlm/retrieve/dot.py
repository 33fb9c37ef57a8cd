"""Dot-product retrieval: a model writes one vector per history, the catalog's items answer it.

The whole catalog is scored by one matrix product; nothing is approximated. Items are scored in an
order shuffled by seed, so that equal scores are not broken by row number.

Shapes      B queries, T positions, N items, D width, K places.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.recommender import Catalog, Recommender
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import FloatArray, IntArray, QueryBatch

SCORE_BYTES = 256 * 2**20


class SequenceModel(Protocol):
    """Reads histories: `model(batch)` gives state_BTD; `item_vectors()` gives items_ND."""

    def __call__(self, batch: SequenceBatch) -> Tensor: ...

    def item_vectors(self) -> Tensor: ...

    def state_dict(self) -> dict[str, Any]: ...

    def train(self, mode: bool = True) -> Any: ...

    def parameters(self) -> Any: ...


class DotProduct(Recommender):
    """Scores every item by the dot product with the state after a history's last event."""

    def __init__(
        self, paper: str, model: SequenceModel, catalog: Catalog, config: Any, length: int
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        model.train(False)  # once; several threads may ask at a time
        self.model, self.length = model, length
        self.shuffled_N = torch.from_numpy(np.random.default_rng(0).permutation(len(catalog)))

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query, exactly."""
        items_ND = self.model.item_vectors()
        shuffled_N = self.shuffled_N.to(items_ND.device)
        items_ND = items_ND[shuffled_N]
        position_N = torch.argsort(shuffled_N)
        window = min(1024, max(1, SCORE_BYTES // (4 * len(items_ND))))
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf, dtype=np.float32)
        for start in range(0, len(batch), window):
            part = batch[start : start + window]
            scores_BN = self._states(part, items_ND.device) @ items_ND.T
            if part.allowed_N is not None:
                blocked_N = torch.from_numpy(~part.allowed_N).to(items_ND.device)[shuffled_N]
                scores_BN.masked_fill_(blocked_N, -torch.inf)
            if part.exclude_seen:
                query_E = torch.from_numpy(part.query_of_event).to(items_ND.device)
                seen_E = position_N[torch.from_numpy(part.item_rows).long().to(items_ND.device)]
                scores_BN[query_E, seen_E] = -torch.inf
            best_BK, place_BK = scores_BN.topk(min(k, len(items_ND)), dim=1)
            found_BK = shuffled_N[place_BK].masked_fill_(best_BK == -torch.inf, -1)
            filled = (slice(start, start + len(part)), slice(found_BK.shape[1]))
            rows_BK[filled] = found_BK.cpu().numpy()
            scores_BK[filled] = best_BK.float().cpu().numpy()
        return rows_BK, scores_BK

    def _states(self, batch: QueryBatch, device: torch.device) -> Tensor:
        """[B, D] what the model makes of each history."""
        rows_BT, lengths_B = batch.last_items(self.length, empty=len(self.catalog))
        items_BT = torch.from_numpy(rows_BT).to(device)
        last_B = torch.from_numpy(lengths_B).to(device).clamp(min=1)
        sequences = SequenceBatch(items_BT, last_B, torch.full_like(items_BT, -1))
        state_BTD = self.model(sequences)
        return state_BTD[torch.arange(len(batch), device=device), last_B - 1]

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return sum(weights.numel() for weights in self.model.parameters())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights."""
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}
