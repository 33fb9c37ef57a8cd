"""What papers share that put recommendation into words: prompts to learn, and one to ask with.

A paper says how items are written and which families of prompts are learned. What the data cannot
fill is left out, and the recommender's card tells so.

Shapes      N items, U users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.data.event_texts import event_texts
from itemlm.data.vocabulary import Vocabulary
from itemlm.lm.examples import text_loss
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.models import Size, language_model, restored
from itemlm.lm.spelling import spelling
from itemlm.lm.worded import WholeWords, Worded
from itemlm.lm.writer import PromptWriter
from itemlm.papers.stages import weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.prompted import Prompted, names_in, user_names
from itemlm.sample.tasks import EVENT_TEXTS, FIELDS, Family, Material, Tasks
from itemlm.text.describe import title_column
from itemlm.text.prompting import prompts
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import UnknownName

WORDS = 512  # of a prompt that have vectors of their own, as in P5's code
TITLE_WORDS = 6  # of an item's title, where a prompt has one
SOMEBODY = "somebody"  # how a user is written who stays unnamed
VOCABULARY_TEXTS = 50_000  # from which a fresh model learns its sub-words


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """The settings of every paper that asks a language model in words."""

    lm: str = "fresh"  # a small T5 of the sizes below, or the name or path of a pretrained one
    sequential: int = 2  # examples of this family of prompts per user and epoch
    direct: int = 1  # likewise; 0 leaves it out
    prompt: str = "next"  # of the sequential family: how a fitted model is asked
    candidates: int = 10  # items to choose from, in prompts that name some
    answers: int = 10  # items that an answer lists, where a prompt lets it; 1 in the papers
    hidden: float = 0.2  # share of the examples that do not name the user
    length: int = 20  # most recent items read
    limit: int = 256  # tokens of a prompt
    width: int = 64  # of a fresh model, in all layers
    blocks: int = 2  # of a fresh model's encoder and decoder each
    heads: int = 4  # of its attention
    inner: int = 256  # width inside its feed-forward layers
    vocabulary: int = 2000  # sub-words of a fresh model, besides new tokens
    dropout: float = 0.1  # everywhere in a fresh model
    beams: int = 20  # candidates kept at each step of the search
    epochs: int = 40  # at most, and the length of the learning rate's schedule
    patience: int = 5  # validations without a better NDCG@10
    validate_every: int = 5  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 64  # examples
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.01  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("length", "width", "blocks", "heads", "inner", "candidates", "answers")
        counts = ("sequential", "beams", "epochs", "patience", "validate_every")
        check_at_least(self, 1, *sizes, *counts, "validation_questions", "batch_size")
        check_at_least(self, 2, "limit")
        check_at_least(self, 300, "vocabulary")
        check_at_least(self, 0, "direct")
        check_share(self, "dropout", "hidden")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a paper asks.

    Attributes:
        paper: its name in the table of papers.
        folder: of its prompts.
        whole: adds vectors of words to its language model.
        numbered: the numbers of a prompt's words, for these vectors.
    """

    paper: str
    folder: str
    whole: Callable[[LanguageModel], WholeWords]
    numbered: Callable[[Sequence[str]], Sequence[int]]


def whole_words(lm: LanguageModel) -> WholeWords:
    """P5's vectors of words: one for each place in a prompt."""
    return WholeWords(lm, WORDS)


def learned(
    asking: Asking,
    dataset: Dataset,
    config: PromptConfig,
    run: Run,
    *,
    families: Mapping[str, int],
    items: Sequence[str],
    coded: Callable[[LanguageModel], Sequence[str]] | None = None,
    reviews: str = "",
) -> Prompted:
    """A language model that has learned to answer prompts.

    Args:
        asking: how the paper asks.
        dataset: to learn from.
        config: of the paper.
        run: see there.
        families: of prompts, with the examples of each per user and epoch.
        items: how items are written.
        coded: how they are written instead, once there is a language model to add tokens to.
        reviews: a file with texts of events, "" for none.
    """
    # 1. Which prompts the data can fill, and with what.
    material = _material(dataset, config, items, reviews)
    found = [
        Family(name, prompts(f"{asking.folder}/{name}", FIELDS), material) for name in families
    ]
    counts = list(families.values())
    size = {"batch_size": config.batch_size, "seed": run.seed}
    # 2. A language model. A fresh one learns its sub-words from an epoch of prompts.
    texts: list[str] = []
    if config.lm == "fresh":
        asks, answers = Tasks(found, counts, material, _nothing, **size).examples(0)
        texts = [text for pair in zip(asks, answers, strict=True) for text in pair]
    lm = language_model(
        config.lm,
        kind="seq2seq",
        texts=texts[:VOCABULARY_TEXTS],
        size=Size.of(config),
        seed=run.seed,
    )
    items = items if coded is None else coded(lm)
    material = replace(material, items=items)
    # 3. Learn to answer.
    torch.manual_seed(run.seed)
    recommender = _asking(
        asking, asking.whole(lm), items, dataset.users, Catalog.of(dataset), config
    )
    recommender.card = _told(found)
    run.train(
        recommender.writer,
        text_loss(),
        Tasks(found, counts, material, recommender.worded.batch, **size),
        AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay, warmup=0.05),
        config.epochs,
        validate=recommender,
        patience=config.patience,
        questions=config.validation_questions,
        validate_every=config.validate_every,
    )
    return recommender


def restored_asking(asking: Asking, saved: Saved, config: PromptConfig) -> Prompted:
    """The recommender back from its saved parts."""
    items, users = names_in(saved.documents)
    own = {name: part for name, part in saved.state.items() if ".model." in name}
    lm = asking.whole(restored(saved.documents, own, "language_model."))
    recommender = _asking(asking, lm, items, users, saved.catalog, config)
    state = weights_of(saved)
    recommender.writer.load_state_dict(state)
    return recommender


def question(folder: str, name: str, *, direct: bool) -> Callable[[str, str], str]:
    """What asks for the next item in the words of a prompt.

    Args:
        folder: of a paper's prompts.
        name: of a prompt of its sequential family, seen or unseen in training, that has no other
            blanks than the user and the history.
        direct: whether people without a past are asked about in the words of the first prompt of
            the direct family, which then has to be learned.

    Raises:
        UnknownName: if there is no such prompt.
    """
    asked = {"user", "history"}
    found = {p.name: p for p in prompts(f"{folder}/sequential", FIELDS) if p.asked <= asked}
    if name not in found:
        raise UnknownName("prompt for the next item", name, found)
    chosen, without = found[name], prompts(f"{folder}/direct", FIELDS)[0]

    def ask(user: str, history: str) -> str:
        prompt = without if direct and not history else chosen
        return prompt.question({"user": user or SOMEBODY, "history": history})

    return ask


def _asking(
    asking: Asking,
    lm: WholeWords,
    items: Sequence[str],
    users: Vocabulary,
    catalog: Catalog,
    config: PromptConfig,
) -> Prompted:
    spelled = spelling(items, lm)
    return Prompted(
        asking.paper,
        PromptWriter(lm, spelled.tokens_by_level),
        spelled,
        catalog,
        users,
        config,
        worded=Worded(lm, config.limit, asking.numbered),
        ask=question(asking.folder, config.prompt, direct=config.direct > 0),
    )


def _material(
    dataset: Dataset, config: PromptConfig, items: Sequence[str], reviews: str
) -> Material:
    column = title_column(dataset.catalog)
    titles = [] if column is None else [str(t or "") for t in dataset.catalog[column].to_list()]
    return Material(
        sequences=dataset.sequences,
        users=user_names(len(dataset.users)),
        items=items,
        nobody=SOMEBODY,
        titles=[" ".join(title.split()[:TITLE_WORDS]) for title in titles],
        texts=event_texts(reviews, dataset, EVENT_TEXTS) if reviews else {},
        length=config.length,
        candidates=config.candidates,
        answers=config.answers,
        hidden=config.hidden,
    )


def _told(families: Sequence[Family]) -> dict[str, Any]:
    """What the card says of prompts: how many of each family, and why a family is missing."""
    told = {}
    for family in families:
        told[family.name] = f"{len(family.prompts)} prompts"
        if not len(family.users):
            blanks = ", ".join(f"{{{field}}}" for field in family.missing)
            told[family.name] = f"left out: no event fills {blanks or 'all blanks of a prompt'}"
    return {"prompts": told}


def _nothing(*_: Any) -> None:
    """For an example source whose texts alone are wanted."""
