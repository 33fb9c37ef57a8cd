"""P5: put every recommendation task into words, and let one text-to-text model learn them all.

Geng et al., "Recommendation as Language Processing (RLP): A Unified Pretrain, Personalized Prompt &
Predict Paradigm (P5)", RecSys 2022. arXiv:2203.13366

The idea    Rating, sequential and direct recommendation, explanation and reviews become questions
            and answers in words, written from a collection of prompts. One model learns them with
            one loss, and can be asked in words that it has not been trained on. Vectors of whole
            words tell the model which pieces of text are one user or one item.
Departures  A small fresh T5 by default; `Config.as_published()` names t5-small. The prompts are our
            own, fewer and shorter. Items are numbered by training events alone, since the paper's
            numbers give test items away. Answers are searched in the trie of items that may be
            shown. Some examples hide the user, so that strangers can be served.
Measured    docs/papers/p5.md
Shapes      see `itemlm.papers.prompting`, where the stages are.
"""

from __future__ import annotations

from dataclasses import dataclass

from itemlm.config import check_at_least
from itemlm.data.dataset import Dataset
from itemlm.lm.spelling import number_names
from itemlm.lm.worded import counted
from itemlm.papers.prompting import (
    Asking,
    PromptConfig,
    learned,
    question,
    restored_asking,
    whole_words,
)
from itemlm.recommender import Saved
from itemlm.retrieve.prompted import Prompted
from itemlm.tokenize.sequential import numbers
from itemlm.train.run import Run

FAMILIES = ("sequential", "direct", "rating", "explanation", "review")


@dataclass(frozen=True, kw_only=True)
class Config(PromptConfig):
    """Settings of P5."""

    rating: int = 1  # examples of this family per user and epoch, where the data has ratings
    explanation: int = 1  # likewise, where there are explanations
    review: int = 1  # likewise, where there are reviews
    reviews: str = ""  # a file: user_id, item_id and review, summary, explanation or feature

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 0, *FAMILIES)
        question("p5", self.prompt, direct=self.direct > 0)

    @classmethod
    def as_published(cls) -> Config:
        """The pretrained T5-small of the paper, its mixture and its training."""
        return cls(
            lm="t5-small",
            sequential=20,
            direct=15,
            candidates=100,
            answers=1,
            hidden=0.0,
            limit=512,
            epochs=10,
            validate_every=1,
            batch_size=128,
            learning_rate=1e-3,
        )


def fit(dataset: Dataset, config: Config, run: Run) -> Prompted:
    """Learn all families of prompts that the data can fill."""
    number_N = numbers(dataset.sequences, len(dataset.items), "user", run.seed)
    return learned(
        _asking(),
        dataset,
        config,
        run,
        families={name: n for name in FAMILIES if (n := getattr(config, name))},
        items=number_names(number_N),
        reviews=config.reviews,
    )


def restore(saved: Saved) -> Prompted:
    """From saved parts."""
    return restored_asking(_asking(), saved, saved.config_of(Config))


def _asking() -> Asking:
    return Asking(paper="p5", folder="p5", whole=whole_words, numbered=counted)
