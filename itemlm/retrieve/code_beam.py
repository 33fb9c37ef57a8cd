"""Beam search over Semantic IDs that exist: generative retrieval without invalid items.

At every level, each beam's children are gathered from the trie (no mask over the vocabulary is ever
built), and the best of all beams' children go on. A child goes on only if an item that may be
recommended is left below it, so blocked and seen items cost no places in the slate: the beam never
walks into a branch that is used up.

Shapes      B queries, K beams, M children of a node at most, V codes of a level, N items, L levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.branches import (
    Branches,
    allowed_before,
    branches,
    close,
    keep_open,
    used_up,
)
from itemlm.sample.next_items import SequenceBatch
from itemlm.tokenize.trie import Trie
from itemlm.types import FloatArray, IntArray, QueryBatch

BEAMS_AT_A_TIME = 4096  # of all queries of a batch together
FILTER_CELLS = 2**24  # of queries times items, where queries have filters of their own


class CodeModel(Protocol):
    """Reads histories once, then writes many continuations of each, code by code."""

    def read(self, batch: Any, beams: int) -> tuple[Tensor, Any]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        ...

    def write(self, written: Any, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call.

        Where they are the same for all beams, logits_B1V will do.

        Args:
            written: as `read` made it; changed in place.
            parent_BK: which of the last call's beams each continues.
            codes_BK: the codes that they add; -1 where a path has ended.
        """
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def train(self, mode: bool = True) -> Any: ...

    def parameters(self) -> Any: ...


def beam_search(
    model: CodeModel, histories: Any, levels: Sequence[Branches], beams: int
) -> tuple[Tensor, Tensor]:
    """The best complete Semantic IDs of each query.

    Args:
        model: reads and writes.
        histories: what the model reads, such as a `SequenceBatch`.
        levels: where a beam may go.
        beams: paths kept at each level.

    Returns:
        leaves_BK and their log-probabilities_BK, best first; -inf where no item is left.
    """
    logits_BKV, written = model.read(histories, beams)
    node_BK = torch.zeros(len(logits_BKV), 1, dtype=torch.long, device=logits_BKV.device)
    score_BK = torch.zeros(len(logits_BKV), 1, device=logits_BKV.device)
    for level in levels:
        child_BKM, code_BKM, bar_BKM = level.below(node_BK)
        log_BKV = logits_BKV.float().log_softmax(-1).expand(-1, node_BK.shape[1], -1)
        log_BKM = log_BKV.gather(2, code_BKM.clamp(min=0))
        if level.has_ends:
            log_BKM = log_BKM.where(code_BKM >= 0, 0.0)
        score_BX = (score_BK[..., None] + log_BKM + bar_BKM).flatten(1)
        score_BK, pick_BK = score_BX.topk(min(beams, score_BX.shape[1]), dim=1)
        node_BK = child_BKM.flatten(1).gather(1, pick_BK)
        if level is not levels[-1]:
            code_BK = code_BKM.flatten(1).gather(1, pick_BK)
            logits_BKV = model.write(written, pick_BK // level.max_children, code_BK)
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
        prompts: what the model reads of queries, on a device; their last `length` items as a
            `SequenceBatch` where None.
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
        prompts: Callable[[QueryBatch, torch.device], Any] | None = None,
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        model.train(False)  # once; several threads may ask at a time
        self.model, self.length, self.beams = model, length, beams
        self.prompts = prompts or self._histories
        self.codes_NL, self.trie = codes_NL, Trie.build(codes_NL)
        self._tries: dict[torch.device, list[Branches]] = {}

    @torch.inference_mode()
    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k items of highest probability among those that the beam reaches.

        A k above `beams` widens the beam, and may so find better first places too.
        """
        device = next(iter(self.model.parameters())).device
        levels, before_FN = self._branches(device), None
        rows_BK = np.full((len(batch), k), -1, dtype=np.int64)
        scores_BK = np.full((len(batch), k), -np.inf, dtype=np.float32)
        beams = max(self.beams, k)
        window = max(1, BEAMS_AT_A_TIME // beams)
        if batch.allowed_BN is not None:
            window = min(window, max(1, FILTER_CELLS // len(self.catalog)))
        for start in range(0, len(batch), window):
            part = batch[start : start + window]
            if start == 0 or batch.allowed_BN is not None:
                before_FN = allowed_before(part, self.trie)
                if before_FN is not None:
                    levels = keep_open(levels, self.trie, before_FN)
            if batch.exclude_seen:
                levels = close(levels, used_up(part, self.trie, before_FN))
            leaf_BK, score_BK = beam_search(self.model, self.prompts(part, device), levels, beams)
            found = min(k, leaf_BK.shape[1])
            scores = score_BK[:, :found].cpu().numpy()
            rows = self.trie.row_of_leaf[leaf_BK[:, :found].cpu().numpy()]
            scores_BK[start : start + len(part), :found] = scores
            rows_BK[start : start + len(part), :found] = np.where(np.isneginf(scores), -1, rows)
        return rows_BK, scores_BK

    def _branches(self, device: torch.device) -> list[Branches]:
        """The trie where the model is; it is moved once."""
        if device not in self._tries:
            self._tries[device] = branches(self.trie, device)
        return self._tries[device]

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
