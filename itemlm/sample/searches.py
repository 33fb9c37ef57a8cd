"""Searches and histories in one stream: what a model learns from that does both.

Shapes      B windows, T positions, W words of a search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itemlm.data.sequences import Sequences
from itemlm.sample.next_items import NextItems, SequenceBatch
from itemlm.types import IntArray


@dataclass(frozen=True, slots=True)
class SearchBatch:
    """Histories, what is searched for after them, and, in training, what was found.

    Attributes:
        histories: to read; of an empty one the first item is what is found.
        words_BW: rows of the words of each search; the row after the last is padding.
        searching: whether all of the batch search, so that only the last item is an answer.
    """

    histories: SequenceBatch
    words_BW: Tensor
    searching: bool = False

    def to(self, device: torch.device) -> SearchBatch:
        """The same batch on another device."""
        return SearchBatch(self.histories.to(device), self.words_BW.to(device), self.searching)


class SearchesAndHistories:
    """Batches of histories, of searches by anybody, and of searches at the end of a history.

    Args:
        sequences: what people took, oldest first.
        words_QW: rows of the words of each search.
        meant_Q: the item that each search means.
        answers_Q: the row by which a model knows that item as an answer to a search.
        no_word: the row of padding among words.
        personal: share of the windows that are read once more, with a search for their last item.
        padding, length, batch_size, seed: as for `NextItems`.
    """

    def __init__(
        self,
        sequences: Sequences,
        words_QW: IntArray,
        meant_Q: IntArray,
        answers_Q: IntArray,
        *,
        no_word: int,
        personal: float,
        padding: int,
        length: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.windows = NextItems(
            sequences, padding=padding, length=length, batch_size=batch_size, seed=seed
        )
        self.words_QW, self.meant_Q, self.answers_Q = words_QW, meant_Q, answers_Q
        self.no_word, self.personal = no_word, personal
        self.batch_size, self.seed = batch_size, seed
        order_Q = np.argsort(meant_Q, kind="stable")
        self._search_of = order_Q
        self._searches_N = np.bincount(meant_Q, minlength=padding)
        self._first_N = np.cumsum(self._searches_N) - self._searches_N
        windows = len(self.windows.starts_W)
        self.by_anybody = -(-len(meant_Q) // batch_size)
        self.by_somebody = round(personal * windows / batch_size) if len(meant_Q) else 0
        self.steps = self.windows.steps + self.by_anybody + self.by_somebody

    def batches(self, epoch: int, skip: int = 0) -> Iterator[SearchBatch]:
        """The batches of an epoch, without its first `skip`."""
        rng = np.random.default_rng([self.seed, epoch, 1])
        kinds = np.repeat([0, 1, 2], [self.windows.steps, self.by_anybody, self.by_somebody])
        search_Q = rng.permutation(len(self.meant_Q))
        histories = self.windows.batches(epoch)
        again = self.windows.batches(epoch + 1_000_000)  # other windows than those next to them
        for step, kind in enumerate(rng.permutation(kinds)):
            if kind == 1:
                chosen, search_Q = search_Q[: self.batch_size], search_Q[self.batch_size :]
                batch = self._by_anybody(chosen)
            elif kind == 0:
                history = next(histories)
                words_B1 = torch.full((len(history.items_BT), 1), self.no_word)
                batch = SearchBatch(history, words_B1)
            else:
                batch = self._by_somebody(next(again), rng)
            if step >= skip:
                yield batch

    def _by_anybody(self, chosen_B: IntArray) -> SearchBatch:
        item_B1 = torch.from_numpy(self.answers_Q[chosen_B])[:, None]
        nothing_B = torch.zeros(len(chosen_B), dtype=torch.long)
        empty = SequenceBatch(item_B1, nothing_B, torch.full_like(item_B1, -1))
        return SearchBatch(empty, self._words(chosen_B), searching=True)

    def _by_somebody(self, history: SequenceBatch, rng: np.random.Generator) -> SearchBatch:
        """Windows whose last target is what is searched for, if there is a search that means it."""
        row_B, last_B = torch.arange(len(history.lengths_B)), history.lengths_B - 1
        meant_B = history.targets_BT[row_B, last_B].numpy()
        known = self._searches_N[meant_B] > 0
        if not known.any():
            return SearchBatch(history, torch.full((len(meant_B), 1), self.no_word))
        count_B = self._searches_N[meant_B[known]]
        place_B = self._first_N[meant_B[known]] + rng.integers(0, count_B)
        search_B = self._search_of[place_B]
        kept = torch.from_numpy(known)
        targets_BT = history.targets_BT[kept].clone()
        answer_B = torch.from_numpy(self.answers_Q[search_B])
        targets_BT[torch.arange(len(targets_BT)), history.lengths_B[kept] - 1] = answer_B
        kept_history = SequenceBatch(history.items_BT[kept], history.lengths_B[kept], targets_BT)
        return SearchBatch(kept_history, self._words(search_B), searching=True)

    def _words(self, search_B: IntArray) -> Tensor:
        words_BW = self.words_QW[search_B]
        longest = max(1, int((words_BW != self.no_word).sum(axis=1).max(initial=0)))
        return torch.from_numpy(words_BW[:, :longest])
