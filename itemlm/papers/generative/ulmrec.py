"""ULMRec: a language model ranks lettered titles for a user whom a few codes describe.

Shao et al., "ULMRec: User-centric Large Language Model for Sequential Recommendation", 2024.
arXiv:2412.05543

The idea    Titles say what items are, but two users with like histories may want different things.
            Every user gets an index: codes by vector quantization, new words of a language model.
            Tasks between index and tastes teach what the codes mean; then the model reads index,
            latest titles and the candidates of another recommender with a letter each, and the
            probabilities of the letters rank them.
Departures  By default a small causal model with random weights and a vocabulary of its own; `lm`
            names a pretrained one. Our data have no reviews: the index is made of the texts of what
            a user has taken so far, so new users have one too, and no user ids go into it, since
            nothing could be known of a new one. Candidates come from ItemKNN, not LRURec, and those
            of training too, with the target among them. The letters' probabilities are weighed with
            the candidate's rank (`trust`); `Config.as_published()` takes letters alone. Items
            beyond the candidates follow in the retriever's order.
Measured    docs/papers/ulmrec.md
Shapes      B queries, P candidates, K places, N items, S codes of a user, D width of item vectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import numpy as np
import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.lm.examples import TextBatch, answered, text_loss
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.models import Size, language_model, restored
from itemlm.papers.collaborative import itemknn
from itemlm.papers.stages import item_vectors
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.lettered import Lettered
from itemlm.sample.moments import histories_before, random_moments, with_targets
from itemlm.sample.questions import Questions
from itemlm.text.describe import TITLES, title_column
from itemlm.text.phrases import phrases
from itemlm.text.prompting import prompts as prompts_of
from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.users import mean_vectors, user_codes
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.train.validation import ndcg_of_reranking
from itemlm.types import ConfigError, DataError, FloatArray, IntArray, QueryBatch

FIELDS = ("user", "taste", "titles", "pool", "letter")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOBODY = "somebody"  # a user without a history
TASTES = 3  # phrases that say what somebody likes


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of ULMRec."""

    lm: str = "fresh"  # or the name or folder of a pretrained causal language model
    rank: int = 0  # of LoRA's adapters; all weights are trained where 0
    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    levels: int = 3  # codes of a user's index
    codes: int = 64  # per level
    candidates: int = 20  # of the retriever, at most 26: one letter each
    trust: float = 1.0  # in the retriever: weight of -log(rank) beside the letter's
    length: int = 10  # most recent titles read
    words: int = 5  # of a title
    prompt: int = 320  # tokens of a prompt that are read, the last ones
    width: int = 64  # of a fresh model
    blocks: int = 2  # of a fresh model
    heads: int = 2  # of a fresh model
    inner: int = 192  # width inside the feed-forward layers of a fresh model
    vocabulary: int = 4000  # words and parts of words of a fresh model
    dropout: float = 0.0  # in attention of a fresh model, whose training it slows, and in adapters
    alignment_epochs: int = 2  # of the tasks about users, before ranking
    epochs: int = 10  # of ranking, at most, and the length of the learning rate's schedule
    patience: int = 3  # validations without a better NDCG@10
    validate_every: int = 1  # epochs
    validation_questions: int = 2000  # a sample: every prompt takes its time
    batch_size: int = 64  # prompts
    learning_rate: float = 2e-3  # the highest; 1e-4 suits pretrained models
    weight_decay: float = 0.01  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "codes", "length", "words", "prompt", "width", "blocks", "heads")
        counts = ("inner", "vocabulary", "epochs", "patience", "validate_every")
        more = ("validation_questions", "batch_size", "alignment_epochs")
        check_at_least(self, 1, *sizes, *counts, *more)
        check_at_least(self, 0, "rank", "trust")
        check_share(self, "dropout")
        if not 2 <= self.candidates <= len(LETTERS):
            raise ConfigError(
                f"candidates is {self.candidates}, but each needs a letter: from 2 to 26."
            )

    @classmethod
    def as_published(cls) -> Config:
        """The paper's language model and settings, as far as its code shows them."""
        return cls(
            lm="meta-llama/Llama-2-7b-hf",
            rank=8,
            trust=0.0,
            length=20,
            words=20,
            prompt=2048,
            dropout=0.05,
            epochs=1,
            learning_rate=1e-4,
        )

    def letters(self) -> list[str]:
        """How candidates are lettered: a fresh model has tokens of its own for it."""
        letters = LETTERS[: self.candidates]
        return [f"<{letter}>" if self.lm == "fresh" else letter for letter in letters]


class Users:
    """What is said of users with a history: their index, their latest titles, their tastes.

    Args:
        quantizer: gives codes to users' vectors.
        vectors_ND: of the items.
        titles: of the items.
        config: settings.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        vectors_ND: FloatArray,
        titles: Sequence[str],
        config: Config,
    ) -> None:
        self.quantizer, self.vectors_ND, self.titles = quantizer, vectors_ND, titles
        self.length = config.length

    def indices(self, batch: QueryBatch) -> list[str]:
        """The index of each user, from what is in their history."""
        histories = Sequences(offsets=batch.offsets.copy(), item_rows=batch.item_rows.copy())
        vectors_BD = mean_vectors(histories, self.vectors_ND)
        codes_BS = self.quantizer.codes(vectors_BD) if len(batch) else np.empty((0, 1))
        known_B = [bool(vector_D.any()) for vector_D in vectors_BD]
        pairs = zip(codes_BS.tolist(), known_B, strict=True)
        return [user_name(codes_S) if known else NOBODY for codes_S, known in pairs]

    def latest(self, rows: Sequence[int]) -> str:
        """The latest titles of a history."""
        return " ; ".join(self.titles[row] for row in rows[-self.length :])


def user_name(codes_S: Sequence[int]) -> str:
    """How a user's index is written."""
    return "".join(f"<u{level + 1}.{code}>" for level, code in enumerate(codes_S))


class ULMRec(Lettered):
    """Ranks the candidates of another recommender by the letters that a language model says.

    Args:
        lm: the language model.
        base: the retriever.
        people: what is said of users.
        config: settings.
    """

    def __init__(
        self, lm: LanguageModel, base: itemknn.ItemKNN, people: Users, config: Config
    ) -> None:
        letters, limit = config.letters(), config.prompt
        super().__init__(
            "ulmrec", lm, base, letters, self.questions, config, limit=limit, trust=config.trust
        )
        self.people = people
        (self.asked,) = prompts_of("ulmrec/ranking", FIELDS)

    def questions(self, batch: QueryBatch, rows_BP: IntArray) -> list[str]:
        """The prompts of users, with candidates in the order of their letters."""
        histories = np.split(batch.item_rows, batch.offsets[1:-1])
        given = zip(self.people.indices(batch), histories, rows_BP.tolist(), strict=True)
        titles = self.people.titles
        asks = []
        for index, history, candidates in given:
            lettered = zip(candidates, self.letters, strict=False)
            pool = " ".join(f"{titles[row]} {letter}" for row, letter in lettered if row >= 0)
            latest = self.people.latest(history.tolist()) or "nothing"
            asks.append(self.asked.question({"user": index, "titles": latest, "pool": pool}))
        return asks

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The language model's weights, the retriever, and what users' indices are made with."""
        named = {f"lm.{name}": part.cpu().numpy() for name, part in self.lm.state_dict().items()}
        named |= {f"base.{name}": part for name, part in self.base.state().items()}
        named |= {f"users.{name}": part for name, part in self.people.quantizer.arrays().items()}
        return {**named, "vectors_ND": self.people.vectors_ND}

    def documents(self) -> dict[str, str]:
        """The language model's."""
        return self.lm.documents()


def fit(dataset: Dataset, config: Config, run: Run) -> ULMRec:
    """Count the retriever's neighbors, index the users, learn what indices mean, then to rank."""
    # 1. The retriever.
    base = itemknn.fit(dataset, itemknn.Config(), run)
    # 2. Codes of users, by the texts of what they took.
    vectors_ND = item_vectors(dataset, config.encoder, run)
    vectors_UD = mean_vectors(dataset.sequences, vectors_ND)
    _, quantizer = user_codes(vectors_UD, config.levels, config.codes, run.seed)
    users = Users(quantizer, vectors_ND, _titles(base.catalog, config), config)
    # 3. A language model with words for users and for letters.
    lm = language_model(
        config.lm, kind="causal", texts=users.titles, size=Size.of(config), seed=run.seed
    )
    levels = enumerate(quantizer.levels)
    lm.add_tokens([f"<u{at + 1}.{code}>" for at, size in levels for code in range(size)])
    if config.lm == "fresh":
        lm.add_tokens(config.letters())
    if config.rank:
        lm.add_lora(config.rank, alpha=4 * config.rank, dropout=config.dropout)
        lm.train_vocabulary()
    recommender = ULMRec(lm.to(run.device), base, users, config)
    # 4. Learn what users' indices mean, then to rank candidates.
    lessons = Lessons(recommender, dataset, run.seed)
    optimizer = AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay)
    torch.manual_seed(run.seed)
    alignment = lessons.source(lessons.alignment)
    run.train(lm, text_loss(), alignment, optimizer, config.alignment_epochs, name="alignment")
    run.train(
        lm,
        text_loss(),
        lessons.source(lessons.ranking),
        optimizer,
        config.epochs,
        validate=recommender,
        patience=config.patience,
        questions=config.validation_questions,
        validate_every=config.validate_every,
    )
    if run.validation is not None:
        asked = run.validation.take(config.validation_questions, run.seed)
        told = ndcg_of_reranking(recommender, base, asked, config.candidates)
        recommender.card["NDCG@10 in validation"] = told
    return recommender


def restore(saved: Saved) -> ULMRec:
    """From saved parts."""
    config = saved.config_of(Config)

    def part(prefix: str) -> dict[str, np.ndarray[Any, Any]]:
        own = {name: array for name, array in saved.state.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): array for name, array in own.items()}

    base = itemknn.restore(replace(saved, config=asdict(itemknn.Config()), state=part("base.")))
    quantizer = Quantizer.from_arrays(part("users."))
    users = Users(quantizer, saved.state["vectors_ND"], _titles(saved.catalog, config), config)
    lm = restored(saved.documents, saved.state, "lm.")
    return ULMRec(lm, base, users, config)


class Lessons:
    """Questions and answers about one event of every user, another one each epoch.

    Args:
        recommender: whose prompts these are.
        dataset: to learn from.
        seed: of everything random.

    Raises:
        DataError: if no user has two events.
    """

    def __init__(self, recommender: ULMRec, dataset: Dataset, seed: int) -> None:
        self.recommender, self.sequences, self.seed = recommender, dataset.sequences, seed
        self.phrases = phrases(dataset)
        self.aligned = prompts_of("ulmrec/alignment", FIELDS)
        self.active: IntArray = np.flatnonzero(dataset.sequences.lengths > 1)
        if not len(self.active):
            raise DataError("no user has two events, so there is no next item to learn from.")

    def source(self, make: Any) -> Questions[TextBatch]:
        """Batches of these lessons."""
        config = self.recommender.config
        return Questions(
            make, len(self.active), self._batch, batch_size=config.batch_size, seed=self.seed
        )

    def _batch(self, asks: list[str], answers: list[str]) -> TextBatch:
        lm = self.recommender.lm
        tokens = self.recommender.writer.tokens(0).tolist()
        letters = dict(zip(self.recommender.letters, tokens, strict=True))
        end = int(lm.words.eos_token_id)
        ids = [
            [letters[text]] if text in letters else [*row, end]
            for text, row in zip(answers, lm.token_ids(answers), strict=True)
        ]
        return answered(lm, asks, ids, self.recommender.config.prompt)

    def events(self, epoch: int) -> tuple[QueryBatch, IntArray]:
        """What each user had taken before a random event of theirs, and that event's item."""
        rng = np.random.default_rng([self.seed, epoch])
        place_U = random_moments(self.sequences, self.active, rng)
        histories = histories_before(self.sequences, self.active, place_U)
        return histories, self.sequences.item_rows[place_U].astype(np.int64)

    def alignment(self, epoch: int) -> tuple[list[str], list[str]]:
        """Index to tastes, tastes to index, and titles to index."""
        batch, _ = self.events(epoch)
        random, users = Random(f"{self.seed} {epoch}"), self.recommender.people
        asks, answers = [], []
        histories = np.split(batch.item_rows, batch.offsets[1:-1])
        for index, history in zip(users.indices(batch), histories, strict=True):
            rows = history.tolist()
            said = Counter(phrase for row in rows for phrase in self.phrases[row])
            taste = ", ".join(phrase for phrase, _ in said.most_common(TASTES)) or "anything"
            values: Mapping[str, str] = {
                "user": index,
                "titles": users.latest(rows),
                "taste": taste,
            }
            prompt = random.choice(self.aligned)
            asks.append(prompt.question(values))
            answers.append(prompt.reply(values))
        return asks, answers

    def ranking(self, epoch: int) -> tuple[list[str], list[str]]:
        """The target among the retriever's candidates, in any order."""
        batch, target_U = self.events(epoch)
        model = self.recommender
        rows_UP, _ = model.base.topk(batch, len(model.letters))
        rows_UP = with_targets(rows_UP, target_U, np.random.default_rng([self.seed, epoch, 2]))
        asks = model.questions(batch, rows_UP)
        letter_U = (rows_UP == target_U[:, None]).argmax(axis=1)
        return asks, [model.letters[place] for place in letter_U.tolist()]


def _titles(catalog: Catalog, config: Config) -> list[str]:
    """The first words of each title.

    Raises:
        DataError: if the catalog has no column of titles.
    """
    column = title_column(catalog.table)
    if column is None:
        raise DataError(f"ulmrec reads titles, but the catalog has no {' or '.join(TITLES)}.")
    texts = catalog.table[column].to_list()
    return [" ".join(str(text or "something").split()[: config.words]) for text in texts]
