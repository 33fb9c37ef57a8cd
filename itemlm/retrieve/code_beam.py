"""Beam search over Semantic IDs that exist: generative retrieval without invalid items.

At every level, each beam's children are gathered from the trie (no mask over the vocabulary is ever
built), and the best of all beams' children go on. A child goes on only if an item that may be
recommended is left below it, so blocked and seen items cost no places in the slate: the beam never
walks into a branch that is used up.

Shapes      B queries, K beams, M children of a node at most, V codes of a level, N items, L levels,
            S items of the longest history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.recommender import Catalog, Recommender
from itemlm.sample.next_items import SequenceBatch
from itemlm.tokenize.trie import Trie
from itemlm.types import FloatArray, IntArray, QueryBatch

BEAMS_AT_A_TIME = 4096  # of all queries of a batch together


class CodeModel(Protocol):
    """Reads histories once, then scores the next code of many continuations of each."""

    def read(self, batch: SequenceBatch) -> Any:
        """What continuations will look at."""
        ...

    def write(self, context: Any, codes_BKl: Tensor) -> Tensor:
        """logits_BKV of level l, after the l codes of each of K continuations."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def train(self, mode: bool = True) -> Any: ...

    def parameters(self) -> Any: ...


@dataclass(frozen=True)
class _Level:
    """A TrieLevel on the model's device."""

    first_child: Tensor
    codes: Tensor
    first_leaf: Tensor
    max_children: int


class LeafFilter:
    """Which leaves may still be recommended, per query.

    Args:
        batch: the queries, with their histories and allowed items.
        trie: gives each item its leaf.
        device: where beams live.
    """

    def __init__(self, batch: QueryBatch, trie: Trie, device: torch.device) -> None:
        leaves = len(trie.row_of_leaf)
        allowed = np.ones(leaves, dtype=bool)
        if batch.allowed_N is not None:
            allowed = batch.allowed_N[trie.row_of_leaf]
        before = np.concatenate([[0], np.cumsum(allowed)])
        self.allowed_before = torch.from_numpy(before).to(device)
        self.seen_BS = torch.from_numpy(self._seen_leaves(batch, trie, allowed)).to(device)

    @staticmethod
    def _seen_leaves(batch: QueryBatch, trie: Trie, allowed: Any) -> IntArray:
        """[B, S] the distinct allowed leaves of each history, ascending; padded with N."""
        leaves = len(trie.row_of_leaf)
        leaf_E, query_E = trie.leaf_of_row[batch.item_rows], batch.query_of_event
        if not batch.exclude_seen:
            leaf_E, query_E = leaf_E[:0], query_E[:0]
        keep_E = allowed[leaf_E]
        key_E = np.unique(query_E[keep_E] * leaves + leaf_E[keep_E])
        query_E, leaf_E = np.divmod(key_E, leaves)
        counts_B = np.bincount(query_E, minlength=len(batch))
        place_E = np.arange(len(key_E)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)
        seen_BS = np.full((len(batch), max(1, counts_B.max(initial=0))), leaves, dtype=np.int64)
        seen_BS[query_E, place_E] = leaf_E
        return seen_BS

    def alive(self, first_BX: Tensor, stop_BX: Tensor) -> Tensor:
        """[B, X] whether a leaf of first:stop may still be recommended."""
        allowed_BX = self.allowed_before[stop_BX] - self.allowed_before[first_BX]
        seen_BX = torch.searchsorted(self.seen_BS, stop_BX) - torch.searchsorted(
            self.seen_BS, first_BX
        )
        return allowed_BX > seen_BX


def beam_search(
    model: CodeModel, context: Any, levels: list[_Level], leaf_filter: LeafFilter, beams: int
) -> tuple[Tensor, Tensor]:
    """The best complete Semantic IDs of each query.

    Returns:
        leaves_BK and their log-probabilities_BK, best first; -inf where no item is left.
    """
    queries, device = len(leaf_filter.seen_BS), leaf_filter.seen_BS.device
    node_BK = torch.zeros(queries, 1, dtype=torch.long, device=device)
    score_BK = torch.zeros(queries, 1, device=device)
    codes_BKl = torch.zeros(queries, 1, 0, dtype=torch.long, device=device)
    for level in levels:
        log_BKV = model.write(context, codes_BKl).float().log_softmax(-1)
        first_BK = level.first_child[node_BK]
        place_M = torch.arange(level.max_children, device=device)
        is_child_BKM = place_M < (level.first_child[node_BK + 1] - first_BK)[..., None]
        child_BKM = (first_BK[..., None] + place_M).clamp(max=len(level.codes) - 1)
        code_BKM = level.codes[child_BKM]
        score_BKM = score_BK[..., None] + log_BKV.gather(2, code_BKM)
        child_BX = child_BKM.flatten(1)
        alive_BX = is_child_BKM.flatten(1) & leaf_filter.alive(
            level.first_leaf[child_BX], level.first_leaf[child_BX + 1]
        )
        score_BX = score_BKM.flatten(1).masked_fill_(~alive_BX, -torch.inf)
        score_BK, pick_BK = score_BX.topk(min(beams, score_BX.shape[1]), dim=1)
        node_BK = child_BX.gather(1, pick_BK)
        parent_BK = pick_BK // level.max_children
        history_BKl = codes_BKl.gather(1, parent_BK[..., None].expand(-1, -1, codes_BKl.shape[2]))
        code_BK = code_BKM.flatten(1).gather(1, pick_BK)
        codes_BKl = torch.cat([history_BKl, code_BK[..., None]], dim=2)
    return node_BK, score_BK


class CodeBeam(Recommender):
    """Recommends by writing Semantic IDs with beam search; every answer is an item.

    Args:
        paper: name in the table of papers.
        model: reads histories and writes codes.
        codes_NL: the Semantic ID of each item.
        catalog: the items.
        config: settings of the paper.
        length: most recent events read.
        beams: candidates kept at each level; at least k are used.
    """

    def __init__(
        self,
        paper: str,
        model: CodeModel,
        codes_NL: IntArray,
        catalog: Catalog,
        config: Any,
        *,
        length: int,
        beams: int,
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        model.train(False)  # once; several threads may ask at a time
        self.model, self.length, self.beams = model, length, beams
        self.codes_NL, self.trie = codes_NL, Trie.build(codes_NL)

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k items of highest probability among those that the beam reaches.

        A k above `beams` widens the beam, and may so find better first places too.
        """
        device = next(iter(self.model.parameters())).device
        levels = [
            _Level(
                torch.from_numpy(level.first_child).to(device),
                torch.from_numpy(level.codes).to(device),
                torch.from_numpy(level.first_leaf).to(device),
                level.max_children,
            )
            for level in self.trie.levels
        ]
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf, dtype=np.float32)
        beams = max(self.beams, k)
        window = max(1, BEAMS_AT_A_TIME // beams)
        for start in range(0, len(batch), window):
            part = batch[start : start + window]
            context = self.model.read(self._histories(part, device))
            leaf_filter = LeafFilter(part, self.trie, device)
            leaf_BK, score_BK = beam_search(self.model, context, levels, leaf_filter, beams)
            found = min(k, leaf_BK.shape[1])
            scores = score_BK[:, :found].cpu().numpy()
            rows = self.trie.row_of_leaf[leaf_BK[:, :found].cpu().numpy()]
            scores_BK[start : start + len(part), :found] = scores
            rows_BK[start : start + len(part), :found] = np.where(np.isneginf(scores), -1, rows)
        return rows_BK, scores_BK

    def _histories(self, batch: QueryBatch, device: torch.device) -> SequenceBatch:
        rows_BT, lengths_B = batch.last_items(self.length, empty=len(self.catalog))
        items_BT = torch.from_numpy(rows_BT).to(device)
        lengths = torch.from_numpy(lengths_B).to(device)
        return SequenceBatch(items_BT, lengths, torch.full_like(items_BT, -1))

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return sum(weights.numel() for weights in self.model.parameters())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights; the codes are among them."""
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}
