"""Prompts as words: sub-tokens know which word they are part of.

A language model cuts "user_4711" into pieces, and pieces of different names are alike. P5 (Geng et
al., RecSys 2022, section 3.2) therefore numbers the words of a prompt, and adds the vector of its
word's number to every token: the pieces of one word share one.

Shapes      B prompts, S tokens, Y tokens of an answer, W different numbers of words, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from itemlm.lm.examples import TextBatch
from itemlm.lm.language_model import NOTHING, LanguageModel, Texts, padded

MOST_WORDS_KEPT = 2**20  # whose tokens are remembered
FAINT = 0.1  # how large vectors of words begin, as a share of those of tokens
OUTSIDE = 0  # the number of what is part of no word: the end of a prompt, and padding


@dataclass(frozen=True)
class WordedBatch(TextBatch):
    """Texts and answers, with the word of each token.

    Attributes:
        words_BS: the number of the word that each token is part of, `OUTSIDE` elsewhere.
    """

    words_BS: Tensor

    def to(self, device: torch.device) -> WordedBatch:
        """The same batch on another device."""
        parts = (self.ids_BS, self.mask_BS, self.labels_BY, self.words_BS)
        return WordedBatch(*(part.to(device) for part in parts))


class WholeWords(LanguageModel):
    """A language model that adds a learned vector to all tokens of a word.

    Args:
        lm: the language model.
        words: W, `OUTSIDE` among them; later words of a longer prompt share the last vector.
    """

    def __init__(self, lm: LanguageModel, words: int) -> None:
        super().__init__(lm.model, lm.words, seed=lm.seed, spread=lm.spread)
        self.whole_words = nn.Embedding(words, self.width)
        spread = FAINT * lm.model.get_input_embeddings().weight.std().item()
        nn.init.normal_(self.whole_words.weight, std=spread)

    def embed(self, batch: Texts) -> Tensor:
        """[B, S, D] tokens, and the words that they are part of."""
        return super().embed(batch) + self.word_vectors(batch.words_BS)  # type: ignore[attr-defined]

    def word_vectors(self, words_BS: Tensor) -> Tensor:
        """[B, S, D] one vector per number."""
        out: Tensor = self.whole_words(words_BS.clamp(max=self.whole_words.num_embeddings - 1))
        return out


def counted(words: Sequence[str]) -> list[int]:
    """1, 2, 3, ...: P5's numbers of the words of a prompt."""
    return list(range(1, len(words) + 1))


class Worded:
    """Makes batches of prompts: each word is tokenized on its own, once.

    Args:
        lm: a seq2seq language model.
        limit: tokens of a prompt; the last ones are kept, since what is asked stands at the end.
        numbered: the numbers of the words of a prompt.
        answer_limit: tokens of an answer.
    """

    def __init__(
        self,
        lm: LanguageModel,
        limit: int,
        numbered: Callable[[Sequence[str]], Sequence[int]] = counted,
        answer_limit: int = 64,
    ) -> None:
        self.lm, self.limit, self.numbered, self.answer_limit = lm, limit, numbered, answer_limit
        self._tokens: dict[str, list[int]] = {}

    def batch(self, asks: Sequence[str], answers: Sequence[str] = ()) -> WordedBatch:
        """Prompts with their answers, or with nothing to learn where there are none."""
        end = int(self.lm.words.eos_token_id)
        ids: list[list[int]] = []
        numbers: list[list[int]] = []
        for words in self._split(asks):
            ids_S, numbers_S = [], []
            for word, number in zip(words, self.numbered(words), strict=True):
                pieces = self._tokens[word]
                ids_S += pieces
                numbers_S += [number] * len(pieces)
            ids.append([*ids_S[-self.limit + 1 :], end])
            numbers.append([*numbers_S[-self.limit + 1 :], OUTSIDE])
        ids_BS, mask_BS = padded(ids, self.lm.pad)
        words_BS, _ = padded(numbers, OUTSIDE)
        learned = [
            [*[t for word in words for t in self._tokens[word]][: self.answer_limit - 1], end]
            for words in self._split(answers)
        ]
        labels_BY = padded(learned, NOTHING)[0] if answers else torch.full_like(ids_BS, NOTHING)
        return WordedBatch(ids_BS, mask_BS, labels_BY, words_BS)

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text, whose tokens are known afterwards."""
        split = [text.split() for text in texts]
        if len(self._tokens) > MOST_WORDS_KEPT:
            self._tokens = {}
        new = list({word: None for words in split for word in words if word not in self._tokens})
        if new:
            self._tokens.update(zip(new, self.lm.token_ids(new), strict=True))
        return split
