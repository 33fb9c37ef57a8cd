"""LC-Rec: item codes become words of a language model, and tasks teach it what they mean.

Zheng et al., "Adapting Large Language Models by Integrating Collaborative Semantics for
Recommendation", ICDE 2024. arXiv:2311.09049

The idea    A language model knows what words mean, not what items mean to people. Every item gets
            a Semantic ID whose codes are new words. Six kinds of tasks tie these words to language
            and to behavior: write the codes that come next; the same with titles on one side, or
            with both; name an item's codes from its text and back; find the item that answers a
            wish; say what somebody likes.
Departures  By default a small causal model with random weights and a vocabulary of its own, so that
            nothing is downloaded; `lm` names a pretrained one. Wishes and tastes are not written by
            a large language model but put together from catalog columns. The sequential task is
            learned at every item of a history in one pass; `Config.as_published()` takes each event
            as one example. Only a share of the other tasks is seen each epoch, with fewer items by
            title (`titled`) and shorter texts (`text`) than the authors read. The trie holds whole
            IDs; the authors' code allows any code of a level and drops what does not exist.
Measured    docs/papers/lcrec.md
Shapes      N items, L codes per item, B examples, S tokens of a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from itemlm.config import check_at_least, check_between, check_share
from itemlm.data.dataset import Dataset
from itemlm.lm.examples import TextBatch, answered, prompts, text_loss
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.models import Size, language_model, restored
from itemlm.lm.spelling import Spelling, code_texts, spelling
from itemlm.lm.writer import PromptWriter
from itemlm.papers.stages import semantic_ids, train
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.item_language import FIELDS, ItemLanguage, ItemLanguageTasks
from itemlm.text.describe import describe
from itemlm.text.phrases import phrases
from itemlm.text.prompting import prompts as prompts_of
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.tokenize.titles import titles_of
from itemlm.train.run import Run
from itemlm.types import IntArray, QueryBatch

TASKS = ("sequential", "mutual", "asymmetric", "mixed", "search", "preference")
START = "<history>"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of LC-Rec."""

    lm: str = "fresh"  # or the name or folder of a pretrained causal language model
    tuning: Literal["full", "lora"] = "full"  # all weights, or adapters and the vocabulary
    rank: int = 8  # of the adapters
    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 3  # semantic codes per item; one more only where some items need it
    codes: int = 256  # per level
    targets: Literal["every", "last"] = "every"  # items of a history that are learned in one pass
    share: float = 0.25  # of users and items that every other task asks about in an epoch
    length: int = 20  # most recent items read
    titled: int = 5  # most recent items read in tasks that name items by their titles
    text: int = 80  # characters that are read of a title or a description
    prompt: int = 160  # tokens of a prompt that are read, the last ones
    width: int = 128  # of a fresh model
    blocks: int = 4  # of a fresh model
    heads: int = 4  # of a fresh model
    inner: int = 384  # width inside the feed-forward layers of a fresh model
    vocabulary: int = 4000  # words and parts of words of a fresh model
    dropout: float = 0.0  # in attention of a fresh model, whose training it slows, and in adapters
    beams: int = 20  # candidates kept at each level of the search
    epochs: int = 30  # at most, and the length of the learning rate's schedule
    patience: int = 5  # validations without a better NDCG@10
    validate_every: int = 3  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 128  # examples
    learning_rate: float = 2e-3  # the highest; 5e-5 suits pretrained models
    weight_decay: float = 0.01  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("rank", "levels", "codes", "length", "width", "blocks", "heads", "inner")
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, *counts, "titled", "text", "prompt", "vocabulary")
        check_at_least(self, 1, "batch_size")
        check_between(self, 0, 1, "share")
        check_share(self, "dropout")
        check_tokenizer(self.tokenizer)

    @classmethod
    def as_published(cls) -> Config:
        """The paper's language model, tokenizer and settings: more than a processor can do."""
        return cls(
            lm="huggyllama/llama-7b",
            encoder="huggyllama/llama-7b",
            tokenizer="rqvae_uniform",
            levels=4,
            targets="last",
            share=1.0,
            titled=20,
            text=1000,
            prompt=1024,
            epochs=4,
            validate_every=1,
            learning_rate=5e-5,
        )


class LCRec(CodeBeam):
    """Writes the codes of items after a prompt; a query with a text is answered as a search.

    Args:
        lm: the language model.
        written: the codes of each item as words of the language model.
        catalog: the items.
        config: settings.
    """

    reads_text = True

    def __init__(
        self, lm: LanguageModel, written: Sequence[str], catalog: Catalog, config: Config
    ) -> None:
        self.spelled = spelling(written, lm)
        self.writer = PromptWriter(lm, self.spelled.tokens_by_level)
        super().__init__(
            "lcrec",
            self.writer,
            self.spelled.codes_NL,
            catalog,
            config,
            length=config.length,
            beams=config.beams,
            prompts=self._prompts,
        )
        self.lm = lm
        tasks = [prompts_of(f"lcrec/{name}", FIELDS) for name in ("sequential", "search")]
        self.asked = {prompt.name: prompt for task in tasks for prompt in task}

    def _prompts(self, batch: QueryBatch, device: torch.device) -> TextBatch:
        rows_BT, lengths_B = batch.last_items(self.length, empty=0)
        texts = batch.texts or [""] * len(batch)
        asks = []
        for rows, length, wish in zip(rows_BT.tolist(), lengths_B.tolist(), texts, strict=True):
            history = START + "".join(self.spelled.texts[row] for row in rows[:length])
            name = "sequential" if not wish else "wish_after_codes" if length else "wish"
            asks.append(self.asked[name].question({"history": history, "wish": wish}))
        return prompts(self.lm, asks, self.config.prompt).to(device)

    def documents(self) -> dict[str, str]:
        """The language model's, and how items are written."""
        return {**self.lm.documents(), "written": json.dumps(list(self.spelled.texts))}


def fit(dataset: Dataset, config: Config, run: Run) -> LCRec:
    """Tokenize the items, make their codes words, and teach these words."""
    # 1. Semantic IDs. Codes of the last level are dealt out so that items hardly tie.
    tokens = semantic_ids(dataset, config, run)
    codes_NL = needed(tokens.codes_NL)
    # 2. A language model whose vocabulary has the codes.
    titles = [(title or "")[: config.text] for title in titles_of(dataset.catalog)]
    texts = describe(dataset, limit=config.text)
    tasks = {name: prompts_of(f"lcrec/{name}", FIELDS) for name in TASKS}
    words = [*titles, *texts, *(prompt.ask for task in tasks.values() for prompt in task)]
    lm = language_model(config.lm, kind="causal", texts=words, size=Size.of(config), seed=run.seed)
    written = code_texts(codes_NL, lm, shared=tokens.shared)
    lm.add_tokens([START])
    if config.tuning == "lora":
        lm.add_lora(config.rank, alpha=2 * config.rank, dropout=config.dropout)
        lm.train_vocabulary()
    # 3. Learn all tasks together; of an example only the answer is learned.
    recommender = LCRec(lm.to(run.device), written, Catalog.of(dataset), config)
    examples = ItemLanguageTasks(
        dataset.sequences,
        ItemLanguage(
            codes=written,
            titles=titles,
            texts=texts,
            phrases=phrases(dataset),
            start=START,
            length=config.length,
            titled=config.titled,
        ),
        tasks,
        share=config.share,
        every_position=config.targets == "every",
        batch_of=Batches(lm, recommender.spelled, config),
        batch_size=config.batch_size,
        seed=run.seed,
    )
    torch.manual_seed(run.seed)
    train(
        run,
        recommender.writer,
        text_loss(),
        examples,
        config,
        recommender,
    )
    # 4. Recommend by beam search over the IDs of items that exist.
    return recommender


def needed(codes_NL: IntArray) -> IntArray:
    """The codes without the level that only tells items apart, where no two items need it."""
    distinct = np.unique(codes_NL[:, :-1], axis=0)
    is_whole = codes_NL.shape[1] > 1 and len(distinct) == len(codes_NL)
    return codes_NL[:, :-1] if is_whole and (codes_NL >= 0).all() else codes_NL


def restore(saved: Saved) -> LCRec:
    """From saved parts."""
    lm = restored(saved.documents, saved.state, "language_model.")
    written = json.loads(saved.documents["written"])
    return LCRec(lm, written, saved.catalog, saved.config_of(Config))


class Batches:
    """Questions and answers as tokens; see `ItemLanguageTasks`."""

    def __init__(self, lm: LanguageModel, spelled: Spelling, config: Config) -> None:
        self.lm, self.limit, self.every = lm, config.prompt, config.targets == "every"
        self.is_code_V = torch.zeros(len(lm.words), dtype=torch.bool)
        self.is_code_V[torch.cat(list(spelled.tokens_by_level))] = True

    def __call__(self, asks: list[str], answers: list[str], sequential: list[bool]) -> TextBatch:
        """Answers in words end with the end token, those in codes when the path does."""
        ids = self.lm.token_ids(answers)
        end = self.lm.words.eos_token_id
        ids = [row if row and self.is_code_V[row[-1]] else [*row, end] for row in ids]
        batch = answered(self.lm, asks, ids, self.limit)
        if not self.every:
            return batch
        learned_BS = self.is_code_V[batch.ids_BS] & torch.tensor(sequential)[:, None]
        labels_BS = torch.where(learned_BS, batch.ids_BS, batch.labels_BY)
        return TextBatch(batch.ids_BS, batch.mask_BS, labels_BS)
