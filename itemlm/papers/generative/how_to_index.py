"""How to Index Item IDs: the same text-to-text recommender, with items written in many ways.

Hua, Xu, Ge and Zhang, "How to Index Item IDs for Recommendation Foundation Models", SIGIR-AP 2023.
arXiv:2305.06569

The idea    How an item is written decides what a language model can learn about it. Numbers and
            titles share pieces by accident; a token per item shares nothing; clusters of items that
            are taken together, or categories, share their leading tokens with what is alike. The
            best index is a path of clusters that ends in a token of the item's own.
Departures  The recommender is our P5, with its prompts and its small fresh T5; see its page. Codes
            come from our tokenizers. Probabilities are those among tokens that can come next in
            some path, not of the whole vocabulary.
Measured    docs/papers/how_to_index.md
Shapes      N items, L codes per item.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from itemlm.config import check_at_least
from itemlm.data.dataset import Dataset
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.spelling import code_texts, number_names
from itemlm.lm.worded import counted
from itemlm.papers.prompting import (
    Asking,
    PromptConfig,
    learned,
    question,
    restored_asking,
    whole_words,
)
from itemlm.papers.stages import semantic_ids
from itemlm.recommender import Saved
from itemlm.retrieve.prompted import Prompted
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.tokenize.sequential import numbers
from itemlm.tokenize.titles import titles_of
from itemlm.train.run import Run

TITLE_WORDS = 6  # of an item that is written as its title


@dataclass(frozen=True, kw_only=True)
class Config(PromptConfig):
    """Settings of How to Index."""

    tokenizer: str = "collaborative+independent"  # or another of `itemlm tokenize fit`
    encoder: str = "lsa"  # of items, for tokenizers of vectors
    levels: int = 3  # codes with meaning, for tokenizers that can choose
    codes: int = 256  # per level, likewise; items of a collaborative cluster that is not cut

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 1, "levels", "codes")
        check_tokenizer(self.tokenizer)
        question("p5", self.prompt, direct=self.direct > 0)

    @classmethod
    def as_published(cls) -> Config:
        """The pretrained T5-small of the paper, and its training."""
        return cls(
            lm="t5-small",
            direct=0,
            answers=1,
            hidden=0.0,
            limit=512,
            epochs=20,
            validate_every=1,
            batch_size=64,
            learning_rate=1e-3,
        )


def fit(dataset: Dataset, config: Config, run: Run) -> Prompted:
    """Index the items, and learn sequential and direct prompts."""
    families = {"sequential": config.sequential, "direct": config.direct}
    families = {name: count for name, count in families.items() if count}
    texts = as_text(config.tokenizer, dataset, run.seed)
    if texts is not None:  # what a language model can spell with the sub-words that it has
        return learned(_asking(), dataset, config, run, families=families, items=texts)
    tokens = semantic_ids(dataset, config, run)

    def coded(lm: LanguageModel) -> list[str]:
        return code_texts(tokens.codes_NL, lm, shared=tokens.shared)

    # Until there is a language model to add the codes to, an item is any one word.
    items = ["item"] * len(dataset.items)
    return learned(_asking(), dataset, config, run, families=families, items=items, coded=coded)


def restore(saved: Saved) -> Prompted:
    """From saved parts."""
    return restored_asking(_asking(), saved, saved.config_of(Config))


def as_text(tokenizer: str, dataset: Dataset, seed: int) -> list[str] | None:
    """Items as numbers or titles, if that is what a tokenizer is about."""
    items = len(dataset.items)
    if tokenizer == "random":
        return number_names(np.random.default_rng(seed).permutation(items))
    if tokenizer == "sequential":
        return number_names(numbers(dataset.sequences, items, "user", seed))
    if tokenizer == "title":
        return titles(titles_of(dataset.catalog))
    return None


def titles(found_N: list[str | None]) -> list[str]:
    """Titles as texts of which none begins another: in brackets, and numbered where they repeat."""
    texts: dict[str, None] = {}
    counts: Counter[str] = Counter()
    for title in found_N:
        words = (title or "untitled").replace("[", "(").replace("]", ")").split()[:TITLE_WORDS]
        plain = text = " ".join(words)
        while f"[{text}]" in texts:  # a title may end in a number itself
            counts[plain] += 1
            text = f"{plain} {counts[plain] + 1}"
        texts[f"[{text}]"] = None
    return list(texts)


def _asking() -> Asking:
    return Asking(paper="how_to_index", folder="p5", whole=whole_words, numbered=counted)
