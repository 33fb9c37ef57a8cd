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

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.lm.spelling import number_names
from itemlm.lm.worded import counted
from itemlm.papers.prompting import Asking, learned, question, restored_asking, whole_words
from itemlm.recommender import Saved
from itemlm.retrieve.prompted import Prompted
from itemlm.tokenize.sequential import numbers
from itemlm.train.run import Run

FAMILIES = ("sequential", "direct", "rating", "explanation", "review")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of P5."""

    lm: str = "fresh"  # a small T5 of the sizes below, or the name or path of a pretrained one
    sequential: int = 2  # examples of this family per user and epoch; 0 leaves it out
    direct: int = 1  # likewise
    rating: int = 1  # likewise, where the data has ratings
    explanation: int = 1  # likewise, where there are explanations
    review: int = 1  # likewise, where there are reviews
    reviews: str = ""  # a file: user_id, item_id and review, summary, explanation or feature
    prompt: str = "next"  # of the sequential family: how a fitted model is asked
    candidates: int = 10  # items to choose from, in prompts that name some
    answers: int = 10  # items that an answer lists, where a prompt lets it; 1 in the paper
    hidden: float = 0.2  # share of the examples that do not name the user
    length: int = 20  # most recent items read
    limit: int = 256  # tokens of a prompt
    width: int = 64  # of a fresh model, in all layers
    blocks: int = 2  # of a fresh model's encoder and decoder each
    heads: int = 4  # of its attention
    inner: int = 256  # width inside its feed-forward layers
    vocabulary: int = 2000  # sub-words of a fresh model
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
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, *counts, "batch_size")
        check_at_least(self, 2, "limit")
        check_at_least(self, 300, "vocabulary")
        check_at_least(self, 0, *FAMILIES)
        check_share(self, "dropout", "hidden")
        question("p5", self.prompt)

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
