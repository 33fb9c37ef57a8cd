"""Prompted: recommends by asking a text-to-text model in words, and answers other questions too.

Users and items have names in words. A query becomes a question about a name and a history of names;
the answer is searched among the names of items that may be shown.

Shapes      B queries, Y tokens of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import torch

from itemlm.data.vocabulary import Vocabulary
from itemlm.lm.spelling import Spelling
from itemlm.lm.worded import Worded, WordedBatch
from itemlm.lm.writer import PromptWriter
from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.types import QueryBatch

DOCUMENT = "names"


def user_names(users: int) -> list[str]:
    """How users are written."""
    return [f"user_{row}" for row in range(users)]


class Prompted(CodeBeam):
    """Asks a seq2seq language model for the next item.

    Args:
        paper: name in the table of papers.
        writer: the language model.
        items: how items are written.
        catalog: the items.
        users: the people who have names.
        config: settings of the paper, with `length` and `beams`.
        worded: makes batches for the language model.
        ask: a question about the name of a user ("" where unknown) and a history of items.
    """

    def __init__(
        self,
        paper: str,
        writer: PromptWriter,
        items: Spelling,
        catalog: Catalog,
        users: Vocabulary,
        config: Any,
        *,
        worded: Worded,
        ask: Callable[[str, str], str],
    ) -> None:
        super().__init__(
            paper,
            writer,
            items.codes_NL,
            catalog,
            config,
            length=config.length,
            beams=config.beams,
            prompts=self._prompts,
        )
        self.users, self.items, self.worded, self.ask = users, items, worded, ask
        self.writer = writer
        self._names = user_names(len(users))

    def questions(self, batch: QueryBatch) -> list[str]:
        """[B] what is asked."""
        rows_BT, lengths_B = batch.last_items(self.length, empty=0)
        histories = zip(rows_BT.tolist(), lengths_B.tolist(), strict=True)
        texts = [" ".join(self.items.texts[r] for r in rows[:length]) for rows, length in histories]
        names = [self._names[row] if row >= 0 else "" for row in batch.user_rows.tolist()]
        return [self.ask(name, text) for name, text in zip(names, texts, strict=True)]

    def _prompts(self, batch: QueryBatch, device: torch.device) -> WordedBatch:
        return self.worded.batch(self.questions(batch)).to(device)

    @torch.inference_mode()
    def answer(self, asks: str | Sequence[str], limit: int = 32) -> list[str]:
        """What the model says to any questions, the likeliest token at a time.

        Args:
            asks: questions in words, or one; items and users as their names.
            limit: tokens of an answer.
        """
        asks = [asks] if isinstance(asks, str) else asks
        if not asks:
            return []
        lm = self.writer.language_model
        device = next(iter(lm.parameters())).device
        every = torch.arange(len(lm.words), device=device)
        writer = PromptWriter(lm, [every] * limit)
        logits_B1V, written = writer.read(self.worded.batch(asks).to(device), 1)
        said = []
        for step in range(limit):
            token_B1 = logits_B1V.argmax(-1)
            said.append(token_B1)
            if step + 1 < limit:
                logits_B1V = writer.write(written, torch.zeros_like(token_B1), token_B1)
        rows = torch.cat(said, dim=1).tolist()
        end = lm.words.eos_token_id
        ended = [row[: row.index(end)] if end in row else row for row in rows]
        return [" ".join(text.split()) for text in lm.words.batch_decode(ended)]

    def documents(self) -> dict[str, str]:
        """The language model's, and the names of items and users."""
        assert self.users is not None
        names = {"items": list(self.items.texts), "users": self.users.ids.to_list()}
        return {**self.writer.language_model.documents(), DOCUMENT: json.dumps(names)}


def names_in(documents: dict[str, str]) -> tuple[list[str], Vocabulary]:
    """How items are written, and the users, of a saved `Prompted`."""
    names = json.loads(documents[DOCUMENT])
    return names["items"], Vocabulary(pl.Series(names["users"]))
