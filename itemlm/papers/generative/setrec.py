"""SETRec: an item is a set of tokens without order, and all of them are written at once.

Lin et al., "Order-agnostic Identifier for Large Language Model-based Generative Recommendation",
SIGIR 2025. arXiv:2502.10833

The idea    An item is one token of collaborative vectors and a few of an autoencoder on its text.
            The tokens of an item share a place and do not see each other. As many queries are put
            after a history, each asks for one token of the next item without seeing the others,
            and one forward pass answers all. No beam, so nothing is lost along the way.
Departures  A small transformer learned from scratch instead of T5 or Qwen, with queries after every
            item of a history, so that each is a target in one pass (the authors: after the last).
            The share of the semantic scores is chosen on validation questions; the released script
            chooses it on the test. Items without events get the mean collaborative vector, and are
            no wrong answers in training.
Measured    docs/papers/setrec.md
Shapes      N items, W items with events, C width of a collaborative vector, E of a text's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from itemlm.config import check_at_least, check_between, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode.behavior import behavior_vectors
from itemlm.nn.code_transformer import Shape
from itemlm.nn.item_sets import ItemSets
from itemlm.objectives.item_sets import item_sets
from itemlm.objectives.softmax import softmax
from itemlm.papers.sequential import sasrec
from itemlm.papers.stages import item_vectors, next_items, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import NextItems
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.train.validation import ndcg_at_10
from itemlm.types import FloatArray

BETAS = tuple(step / 10 for step in range(11))  # shares that are tried


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of SETRec."""

    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    semantic: int = 4  # tokens from an item's text
    hidden: tuple[int, ...] = (256,)  # widths inside the autoencoder of texts
    reconstruction: float = 0.7  # weight of its loss
    collaborative: Literal["sasrec", "behavior"] = "sasrec"  # or who took what, decomposed
    collaborative_width: int = 64  # of the vectors behind the collaborative token
    collaborative_epochs: int = 40  # of SASRec, at most
    beta: float = 0.5  # share of the semantic scores, until validation questions choose one
    length: int = 20  # most recent items read
    width: int = 64  # of a token and of every layer
    blocks: int = 2  # transformer blocks
    heads: int = 2  # of attention
    head_width: int = 32  # of a head; heads * head_width need not be width
    inner: int = 256  # width inside the feed-forward layers
    dropout: float = 0.3  # on what every layer adds
    epochs: int = 30  # at most, and the length of the learning rate's schedule
    patience: int = 5  # validations without a better NDCG@10
    validate_every: int = 1  # epochs
    validation_questions: int = 5000  # a sample
    batch_size: int = 256  # windows of histories
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.1  # of AdamW

    def __post_init__(self) -> None:
        sizes = (
            "semantic",
            "length",
            "width",
            "blocks",
            "heads",
            "head_width",
            "inner",
            "batch_size",
        )
        check_at_least(self, 1, *sizes, "collaborative_width", "collaborative_epochs", "epochs")
        check_at_least(self, 1, "patience", "validate_every", "validation_questions")
        check_at_least(self, 0, "reconstruction")
        check_between(self, 0, 1, "beta")
        check_share(self, "dropout")

    @classmethod
    def as_published(cls) -> Config:
        """The sizes of the authors' T5-small, whose pretrained weights are not used here."""
        return cls(
            encoder="sentence-transformers/sentence-t5-base",
            hidden=(512, 256, 128),
            length=50,
            width=512,
            blocks=6,
            heads=8,
            head_width=64,
            inner=2048,
            dropout=0.1,
            batch_size=512,
            weight_decay=0.0,
        )


def fit(dataset: Dataset, config: Config, run: Run) -> DotProduct:
    """Make the two views of items, and train on a dataset."""
    # 1. What items have in common by their texts, and by who took them.
    texts_NE = standardized(item_vectors(dataset, config.encoder, run))
    collaborative_NC = run.keep("collaborative", lambda: _collaborative(dataset, config, run))
    warm_N = dataset.item_counts > 0
    # 2. Items without events have no collaborative vector: neither for nor against them.
    collaborative_NC[~warm_N] = collaborative_NC[warm_N].mean(axis=0)
    # 3. Learn to ask for the next item's set.
    torch.manual_seed(run.seed)
    model = _model(
        config,
        torch.from_numpy(standardized(collaborative_NC)),
        torch.from_numpy(texts_NE),
        torch.from_numpy(np.flatnonzero(warm_N)),
    ).to(run.device)
    recommender = DotProduct("setrec", model, Catalog.of(dataset), config, config.length)
    train(
        run,
        model,
        item_sets(config.reconstruction),
        _examples(dataset, config, run),
        config,
        recommender,
    )
    # 4. Choose how much the semantic scores count, on validation questions.
    if run.validation is not None:
        asked = run.validation.take(config.validation_questions, run.seed)
        found = {}
        for beta in BETAS:
            model.beta.fill_(beta)
            found[beta] = ndcg_at_10(recommender, asked)
        recommender.chosen["beta"] = max(found, key=lambda beta: found[beta])
        model.beta.fill_(recommender.chosen["beta"])
    return recommender


def restore(saved: Saved) -> DotProduct:
    """From saved parts."""
    config = saved.config_of(Config)
    weights = weights_of(saved)
    model = _model(config, weights["collaborative_NC"], weights["texts_NE"], weights["warm_W"])
    model.load_state_dict(weights)
    return DotProduct("setrec", model, saved.catalog, config, config.length)


def standardized(x_NE: FloatArray) -> FloatArray:
    """[N, E] float32 around 0, in units in which the numbers are about 1."""
    centered_NE = x_NE - x_NE.mean(axis=0)
    scaled_NE: FloatArray = centered_NE / max(float(centered_NE.std()), 1e-12)
    return scaled_NE.astype(np.float32)


def _model(config: Config, collaborative_NC: Tensor, texts_NE: Tensor, warm_W: Tensor) -> ItemSets:
    shape = Shape.of(config)
    return ItemSets(
        collaborative_NC,
        texts_NE,
        warm_W,
        semantic=config.semantic,
        hidden=config.hidden,
        length=config.length,
        shape=shape,
        beta=config.beta,
    )


def _collaborative(dataset: Dataset, config: Config, run: Run) -> FloatArray:
    """[N, C] item vectors that know who took what, and nothing of texts."""
    if config.collaborative == "behavior":
        return behavior_vectors(dataset, config.collaborative_width, run.seed)
    settings = sasrec.Config(
        length=config.length,
        width=config.collaborative_width,
        inner=config.collaborative_width,
        epochs=config.collaborative_epochs,
        batch_size=config.batch_size,
    )
    torch.manual_seed(run.seed)
    model = sasrec.SASRec(settings, items=len(dataset.items)).to(run.device)
    run.train(
        model,
        softmax(),
        _examples(dataset, config, run),
        AdamW(learning_rate=settings.learning_rate, weight_decay=settings.weight_decay),
        settings.epochs,
        validate=DotProduct("sasrec", model, Catalog.of(dataset), settings, settings.length),
        patience=settings.patience,
        questions=config.validation_questions,
        name="collaborative",
    )
    vectors_NC: FloatArray = model.item_vectors().detach().cpu().numpy()
    return vectors_NC


def _examples(dataset: Dataset, config: Config, run: Run) -> NextItems:
    return next_items(dataset, config, run)
