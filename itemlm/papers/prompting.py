"""What papers share that put recommendation into words: prompts to learn, and one to ask with.

A paper says how items are written and which families of prompts are learned. What the data cannot
fill is left out, and the recommender's card tells so.

Shapes      N items, U users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

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


class Settings(Protocol):
    """The fields of a Config that say what is learned, how, and by which language model."""

    @property
    def lm(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def candidates(self) -> int: ...
    @property
    def answers(self) -> int: ...
    @property
    def hidden(self) -> float: ...
    @property
    def length(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def inner(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def beams(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def patience(self) -> int: ...
    @property
    def validate_every(self) -> int: ...
    @property
    def validation_questions(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


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
    config: Settings,
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
        size=Size(
            width=config.width,
            blocks=config.blocks,
            heads=config.heads,
            inner=config.inner,
            vocabulary=config.vocabulary,
            dropout=config.dropout,
        ),
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


def restored_asking(asking: Asking, saved: Saved, config: Settings) -> Prompted:
    """The recommender back from its saved parts."""
    items, users = names_in(saved.documents)
    own = {name: part for name, part in saved.state.items() if ".model." in name}
    lm = asking.whole(restored(saved.documents, own, "language_model."))
    recommender = _asking(asking, lm, items, users, saved.catalog, config)
    state = weights_of(saved)
    recommender.writer.load_state_dict(state)
    return recommender


def question(folder: str, name: str) -> Callable[[str, str], str]:
    """What asks for the next item in the words of a prompt; people without a past are asked about
    in the words of the first prompt of the direct family.

    Args:
        folder: of a paper's prompts.
        name: of a prompt of its sequential family, seen or unseen in training, that has no other
            blanks than the user and the history.

    Raises:
        UnknownName: if there is no such prompt.
    """
    asked = {"user", "history"}
    found = {p.name: p for p in prompts(f"{folder}/sequential", FIELDS) if p.asked <= asked}
    if name not in found:
        raise UnknownName("prompt for the next item", name, found)
    chosen, without = found[name], prompts(f"{folder}/direct", FIELDS)[0]

    def ask(user: str, history: str) -> str:
        prompt = chosen if history else without
        return prompt.question({"user": user or SOMEBODY, "history": history})

    return ask


def _asking(
    asking: Asking,
    lm: WholeWords,
    items: Sequence[str],
    users: Vocabulary,
    catalog: Catalog,
    config: Settings,
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
        ask=question(asking.folder, config.prompt),
    )


def _material(dataset: Dataset, config: Settings, items: Sequence[str], reviews: str) -> Material:
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
