"""What generative papers share around their own idea: codes for the items, examples, training.

Shapes      N items, L codes per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from itemlm.data.dataset import Dataset
from itemlm.encode.by_name import vectors_of
from itemlm.objectives.objective import Objective
from itemlm.recommender import Saved
from itemlm.sample.batches import Examples
from itemlm.sample.next_items import NextItems
from itemlm.tokenize.by_name import Material, item_tokens
from itemlm.tokenize.tokens import ItemTokens
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import FloatArray, TopK


class TokenizerSettings(Protocol):
    """The fields of a Config that say how items get their codes."""

    @property
    def encoder(self) -> str: ...

    @property
    def tokenizer(self) -> str: ...

    @property
    def levels(self) -> int: ...

    @property
    def codes(self) -> int: ...


def item_vectors(dataset: Dataset, encoder: str, run: Run) -> FloatArray:
    """vectors_ND of all items by an encoder's name (see `vectors_of`), kept in the run."""
    return run.keep("vectors", lambda: vectors_of(dataset, encoder, run.seed))


def semantic_ids(dataset: Dataset, config: TokenizerSettings, run: Run) -> ItemTokens:
    """The item tokens that a paper's settings ask for, kept in the run."""
    material = Material(
        dataset=dataset,
        vectors=lambda: item_vectors(dataset, config.encoder, run),
        levels=config.levels,
        codes=config.codes,
        seed=run.seed,
    )
    return run.keep("tokens", lambda: item_tokens(config.tokenizer, material), ItemTokens)


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Item tokens as a code model takes them.

    Attributes:
        codes_NL: the Semantic ID of each item.
        levels: codes of each level.
        shared: whether a code means the same on every level.
    """

    codes_NL: Tensor
    levels: tuple[int, ...]
    shared: bool = False

    @classmethod
    def of(cls, tokens: ItemTokens) -> Codes:
        """Those of fitted item tokens."""
        return cls(
            codes_NL=torch.from_numpy(tokens.codes_NL.copy()),
            levels=tokens.levels,
            shared=tokens.shared,
        )

    @classmethod
    def saved_in(cls, saved: Saved, table: str = "table") -> Codes:
        """Those of a saved model, by the name of its `CodeTable`."""
        codes_NL = torch.from_numpy(saved.state[f"{table}.codes_NL"][:-1])
        sizes: list[Any] = []
        while (name := f"{table}.outputs.{len(sizes)}.weight") in saved.state:
            sizes.append(len(saved.state[name]))
        shared = len(sizes) < codes_NL.shape[1]
        levels = tuple(sizes * codes_NL.shape[1] if shared else sizes)
        return cls(codes_NL=codes_NL, levels=levels, shared=shared)


def weights_of(saved: Saved) -> dict[str, Tensor]:
    """What was learned, as tensors."""
    return {name: torch.from_numpy(part) for name, part in saved.state.items()}


class TrainingSettings(Protocol):
    """The fields of a Config that say how a model is trained."""

    @property
    def length(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def epochs(self) -> int: ...

    @property
    def patience(self) -> int: ...

    @property
    def validate_every(self) -> int: ...

    @property
    def validation_questions(self) -> int: ...


def next_items(
    dataset: Dataset, config: TrainingSettings, run: Run, source: type[NextItems] = NextItems
) -> NextItems:
    """Windows of all histories, of the length that a paper reads."""
    return source(
        dataset.sequences,
        padding=len(dataset.items),
        length=config.length,
        batch_size=config.batch_size,
        seed=run.seed,
    )


def train(
    run: Run,
    model: nn.Module,
    objective: Objective,
    examples: Examples[Any],
    config: TrainingSettings,
    recommender: TopK,
) -> None:
    """Train as a paper's settings say; validation questions to the recommender choose the epoch."""
    run.train(
        model,
        objective,
        examples,
        AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay),
        config.epochs,
        validate=recommender,
        patience=config.patience,
        questions=config.validation_questions,
        validate_every=config.validate_every,
    )
