"""Reads a preference and the titles of a history with a language model's encoder.

Shapes      B histories, T items, W tokens of the preference and all titles, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from itemlm.lm.examples import prompts
from itemlm.lm.language_model import LanguageModel
from itemlm.nn.linear import Linear
from itemlm.nn.preference_transformer import Given, PreferenceReader
from itemlm.sample.preferences import PreferenceBatch


class LMReader(PreferenceReader):
    """One text for all: the titles, oldest first, and then the preference.

    The preference stands last, since of a text that is too long the end is kept.

    Args:
        lm: a sequence-to-sequence model, of which the encoder is used and trained.
        titles: of the items.
        width: of what it gives.
        words_read: of the preference, for the longest text.
        title_words: of each title.
        length: most titles.
    """

    def __init__(
        self,
        lm: LanguageModel,
        titles: Sequence[str],
        width: int,
        words_read: int,
        title_words: int,
        length: int,
    ) -> None:
        super().__init__()
        self.lm = lm
        self.lm.model.get_decoder().requires_grad_(False)
        self.lm.model.get_input_embeddings().requires_grad_(True)  # which both halves share
        self.titles = [" ".join(title.split()[:title_words]) for title in titles]
        self.tokens = 2 * (words_read + title_words * length)  # two tokens a word, about
        self.project = Linear(lm.width, width)

    def documents(self) -> dict[str, str]:
        """Those of the language model."""
        return self.lm.documents()

    def forward(self, batch: PreferenceBatch) -> Given:
        """As `PreferenceReader` says; all is in what stands for the preference, X = 0."""
        items_BT, lengths_B = batch.items_BT, batch.lengths_B.tolist()
        histories = [row[:length] for row, length in zip(items_BT.tolist(), lengths_B, strict=True)]
        texts = [
            " ".join([*(f"{self.titles[row]};" for row in rows), wish])
            for rows, wish in zip(histories, batch.texts, strict=True)
        ]
        read = prompts(self.lm, texts, self.tokens).to(items_BT.device)
        state_BWD = self.project(self.lm.read(read))
        nothing = state_BWD.new_zeros(*items_BT.shape, 0, state_BWD.shape[-1])
        return state_BWD, read.mask_BS, nothing, torch.zeros_like(nothing[..., 0], dtype=torch.bool)
