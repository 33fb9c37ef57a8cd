"""Retrieval with two heads: items found by vector and items written as codes, ranked by both.

Each head looks through the whole catalog in its own way and hands in candidates; then every
candidate gets both heads' scores, whichever head found it. So no item is lost because one head
ranked it low, and the exact sum of both scores decides among the candidates.

LIGER (Yang et al. 2024, arXiv:2411.18814) ranks beams and cold items by the dense score alone.

Shapes      B queries, C candidates of a head, K places.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.code_beam import CodeBeam, CodeModel
from itemlm.retrieve.dot import DotProduct, SequenceModel
from itemlm.retrieve.exact import ranked
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import FloatArray, IntArray, QueryBatch

PAIRS_AT_A_TIME = 2**14  # candidates of all queries that are scored together


class TwoHeadedModel(SequenceModel, CodeModel, Protocol):
    """A model with both heads, which scores given items with both."""

    def score(self, batch: SequenceBatch, rows_BC: Tensor) -> Tensor:
        """scores_BC of items, by both heads."""
        ...


class TwoHeads(Recommender):
    """Recommends the best by both heads' scores, among each head's candidates.

    Args:
        paper: name in the table of papers.
        model: reads histories; scores and writes items.
        codes_NL: the Semantic ID of each item.
        catalog: the items.
        config: settings of the paper.
        length: most recent events read.
        candidates: of each head, and beams of the search; at least k are used.
    """

    def __init__(
        self,
        paper: str,
        model: TwoHeadedModel,
        codes_NL: IntArray,
        catalog: Catalog,
        config: Any,
        *,
        length: int,
        candidates: int,
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        self.model, self.candidates = model, candidates
        self.dense = DotProduct(paper, model, catalog, config, length)
        self.beam = CodeBeam(
            paper, model, codes_NL, catalog, config, length=length, beams=candidates
        )

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k of both heads' candidates."""
        count = max(self.candidates, k)
        rows_BC = np.concatenate(
            [self.dense.topk(batch, count)[0], self.beam.topk(batch, count)[0]], axis=1
        )
        rows_BC = _each_once(rows_BC)
        scores_BC = np.full(rows_BC.shape, -np.inf, dtype=np.float32)
        window = max(1, PAIRS_AT_A_TIME // rows_BC.shape[1])
        device = next(iter(self.model.parameters())).device
        for start in range(0, len(batch), window):
            block = slice(start, start + window)
            histories = self.beam.prompts(batch[block], device)
            rows = torch.from_numpy(rows_BC[block].clip(min=0)).to(device)
            scores_BC[block] = self.model.score(histories, rows).float().cpu().numpy()
        query_C, place_C = np.nonzero(rows_BC >= 0)
        found_C = (rows_BC[query_C, place_C], scores_BC[query_C, place_C])
        return ranked(query_C, *found_C, (len(batch), len(self.catalog)), k)

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return self.dense.parameters

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights; the codes are among them."""
        return self.dense.state()


def fair_lift(known_QK: FloatArray, new_QK: FloatArray, share: float) -> float:
    """What to add to the scores of new items, so that they get a share of the first K places.

    Args:
        known_QK, new_QK: the best K scores of known and of new items for each query, -inf where
            there are fewer.
        share: of all places together.

    Returns:
        0 where they get as much by themselves, and never less than 0.
    """
    places = known_QK.shape[1]
    # The worst new item that is to be listed takes the place of a known one: item j of the new
    # ones pushes out the known item in place K + 1 - j, so this is the lift at which it comes in.
    needed_QK = np.sort(known_QK, axis=1) - -np.sort(-new_QK, axis=1)
    needed_X = np.sort(needed_QK[np.isfinite(new_QK) & np.isfinite(known_QK)], axis=None)
    wanted = round(share * places * len(known_QK))
    if not wanted or not len(needed_X):
        return 0.0
    return max(0.0, float(needed_X[min(wanted, len(needed_X)) - 1]))


def _each_once(rows_BC: IntArray) -> IntArray:
    """The rows of each query in ascending order, with -1 in place of repetitions."""
    sorted_BC = np.sort(rows_BC, axis=1)
    sorted_BC[:, 1:][sorted_BC[:, 1:] == sorted_BC[:, :-1]] = -1
    return sorted_BC
