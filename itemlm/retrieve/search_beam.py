"""One generator for two kinds of questions: what comes next, and what was searched for.

Shapes      B queries, K places, N items, L codes per item.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from itemlm.nn.search_transformer import SearchTransformer
from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.next_items import SequenceBatch
from itemlm.sample.searches import SearchBatch
from itemlm.text.word_rows import WordRows
from itemlm.types import BoolArray, FloatArray, IntArray, QueryBatch


class SearchBeam(Recommender):
    """Writes Semantic IDs after a history, a search, both or neither.

    Where items have two Semantic IDs, the model's table holds those to recommend by and then those
    to be found by, and a query with words that are known is answered by the latter.

    Args:
        paper: name in the table of papers.
        model: reads and writes.
        words: that it knows.
        catalog: the items.
        config: settings of the paper.
        length: most recent events read.
        beams: candidates kept at each level; at least k are used.
        words_read: of each search, at most.
    """

    reads_text = True

    def __init__(
        self,
        paper: str,
        model: SearchTransformer,
        words: WordRows,
        catalog: Catalog,
        config: Any,
        *,
        length: int,
        beams: int,
        words_read: int,
    ) -> None:
        super().__init__(catalog, config)
        self.paper = paper  # type: ignore[misc]
        self.model, self.words = model, words
        self.length, self.words_read = length, words_read
        codes = model.table.codes_NL[:-1].cpu().numpy()
        self.beams = [
            CodeBeam(
                paper,
                model,
                codes_NL,
                catalog,
                config,
                length=length,
                beams=beams,
                prompts=self._prompts,
            )
            for codes_NL in np.split(codes, len(codes) // len(catalog))
        ]

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k items of highest probability among those that the beam reaches."""
        recommending, searching = self.beams[0], self.beams[-1]
        has_words_B: BoolArray = np.any(self._words(batch) < len(self.words), axis=1)
        if recommending is searching or not has_words_B.any():
            return recommending.topk(batch, k)
        rows_BK, scores_BK = searching.topk(batch, k)
        if not has_words_B.all():
            other_BK, other_scores_BK = recommending.topk(batch, k)
            rows_BK = np.where(has_words_B[:, None], rows_BK, other_BK)
            scores_BK = np.where(has_words_B[:, None], scores_BK, other_scores_BK)
        return rows_BK, scores_BK

    def _words(self, batch: QueryBatch) -> IntArray:
        texts = [""] * len(batch) if batch.texts is None else batch.texts
        return self.words.rows(texts, self.words_read)

    def _prompts(self, batch: QueryBatch, device: torch.device) -> SearchBatch:
        rows_BT, lengths_B = batch.last_items(self.length, empty=0)
        items_BT = torch.from_numpy(rows_BT)
        histories = SequenceBatch(
            items_BT, torch.from_numpy(lengths_B), torch.full_like(items_BT, -1)
        )
        return SearchBatch(histories, torch.from_numpy(self._words(batch))).to(device)

    @property
    def parameters(self) -> int:
        """Weights that were trained."""
        return sum(weights.numel() for weights in self.model.parameters())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights; the codes are among them."""
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}

    def documents(self) -> dict[str, str]:
        """The words that are known."""
        return {"words": self.words.document()}
