"""Dot-product retrieval: a model writes one vector per history, the catalog's items answer it.

The whole catalog is scored by matrix products; nothing is approximated. Histories are read and
items scored in blocks that a cache can hold, and at no time is there a score for every pair.

Shapes      B queries, T positions, N items, D width, K places, C candidates of all queries.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.nn.linear import product
from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.exact import ranked, refuse_nan, topk_of_scores
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import FloatArray, IntArray, QueryBatch

# Arrays that a processor's cache can hold; other devices get more to do at a time.
TOKENS_AT_A_TIME = 2**12  # of histories that are read together, padding included
SCORES_AT_A_TIME = 2**22  # 16 MB
ELSEWHERE = 16  # times as many


class SequenceModel(Protocol):
    """Reads histories: `last_states(batch)` gives state_BD; `item_vectors()` gives items_ND."""

    def last_states(self, batch: SequenceBatch) -> Tensor: ...

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

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query, exactly."""
        items_ND = self.model.item_vectors()
        states_BD = self._states(batch, like=items_ND)
        on_processor = items_ND.device.type == "cpu"
        best = _best if on_processor else _best_elsewhere
        scores = SCORES_AT_A_TIME if on_processor else SCORES_AT_A_TIME * ELSEWHERE
        window = max(1, scores // len(items_ND))
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf, dtype=np.float32)
        for start in range(0, len(batch), window):
            block = slice(start, min(start + window, len(batch)))
            scores_bN = product(states_BD[block], items_ND)
            rows_BK[block], scores_BK[block] = best(scores_bN, batch[block], k)
        return rows_BK, scores_BK

    def _states(self, batch: QueryBatch, like: Tensor) -> Tensor:
        """[B, D] what the model makes of each history; those of similar length read together."""
        rows_BT, lengths_B = batch.last_items(self.length, empty=len(self.catalog))
        items_BT = torch.from_numpy(rows_BT)
        last_B = torch.from_numpy(np.maximum(lengths_B, 1))
        order_B = torch.argsort(last_B, descending=True)
        states_BD = like.new_empty(len(batch), like.shape[1])
        tokens = TOKENS_AT_A_TIME * (1 if like.device.type == "cpu" else ELSEWHERE)
        start = 0
        while start < len(batch):
            longest = int(last_B[order_B[start]])
            chosen = order_B[start : start + max(1, tokens // longest)]
            items_bT = items_BT[chosen, :longest]
            histories = SequenceBatch(items_bT, last_B[chosen], torch.full_like(items_bT, -1))
            states_BD[chosen.to(like.device)] = self.model.last_states(histories.to(like.device))
            start += len(chosen)
        return states_BD

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return sum(weights.numel() for weights in self.model.parameters())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights."""
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}


def _best(scores_BN: Tensor, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
    return topk_of_scores(scores_BN.float().numpy(), batch, k)


def _best_elsewhere(scores_BN: Tensor, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
    """The same for scores on another device, from which only the candidates are fetched."""
    device = scores_BN.device
    if batch.exclude_seen:
        query_E = torch.from_numpy(batch.query_of_event).to(device)
        scores_BN[query_E, torch.from_numpy(batch.item_rows).long().to(device)] = -torch.inf
    if batch.allowed_N is not None:
        scores_BN.masked_fill_(torch.from_numpy(~batch.allowed_N).to(device), -torch.inf)
    if batch.allowed_BN is not None:
        scores_BN.masked_fill_(torch.from_numpy(~batch.allowed_BN).to(device), -torch.inf)
    best_BK = scores_BN.topk(min(k, scores_BN.shape[1]), dim=1).values
    if best_BK.isnan().any():
        refuse_nan()
    candidate_BN = (scores_BN >= best_BK[:, -1:]) & (scores_BN > -torch.inf)
    query_C, row_C = candidate_BN.nonzero(as_tuple=True)
    score_C = scores_BN[query_C, row_C].float()
    shape = tuple(scores_BN.shape)
    return ranked(query_C.cpu().numpy(), row_C.cpu().numpy(), score_C.cpu().numpy(), shape, k)
