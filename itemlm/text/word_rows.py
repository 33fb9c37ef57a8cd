"""Word rows: texts as rows of a table of words, for models that learn their words themselves.

Shapes      B texts, W words of the longest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from itemlm.text.subwords import words
from itemlm.types import IntArray


@dataclass(frozen=True, eq=False)
class WordRows:
    """The words that a model knows, the most frequent ones first.

    Attributes:
        known: words; those that are not among them say nothing.
    """

    known: Sequence[str]

    @classmethod
    def learned(cls, texts: Sequence[str], most: int, at_least: int = 2) -> WordRows:
        """The most frequent words of these texts, among those that occur `at_least` so often."""
        counts = Counter(word for text in texts for word in words(text))
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return cls([word for word, count in ordered[:most] if count >= at_least])

    def __len__(self) -> int:
        return len(self.known)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.known)}

    def rows(self, texts: Sequence[str], limit: int) -> IntArray:
        """[B, W] the first `limit` known words of each text; the row after the last is padding."""
        found = [[self._row_of[w] for w in words(text) if w in self._row_of] for text in texts]
        width = max(1, min(limit, max(map(len, found), default=0)))
        rows_BW = np.full((len(texts), width), len(self), dtype=np.int64)
        for line, row in zip(rows_BW, found, strict=True):
            line[: len(row)] = row[:width]
        return rows_BW

    def document(self) -> str:
        """The words as JSON."""
        return json.dumps(list(self.known))

    @classmethod
    def restored(cls, document: str) -> WordRows:
        """Back from `document()`."""
        return cls(json.loads(document))
