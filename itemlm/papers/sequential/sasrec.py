"""SASRec: read a history with causal self-attention, predict the item after every position.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018. arXiv:1808.09781

The idea    One pass over a history gives a training signal at every position, because a causal
            mask hides each answer; the item table that reads the history also scores the answer.
Departures  Full-softmax cross-entropy by default; `Config.as_published()` restores binary
            cross-entropy with one negative. Keys and values are normalized like queries (a standard
            pre-norm block), with RMSNorm. Positions count back from the newest event. Histories
            longer than `length` are trained on in several windows.
Measured    docs/papers/sasrec.md
Shapes      B histories, T positions, N items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.nn.history import HistoryTransformer
from itemlm.objectives.bce import bce
from itemlm.objectives.softmax import softmax
from itemlm.papers.stages import weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import NextItems, SequenceBatch
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of SASRec."""

    length: int = 50  # most recent events read
    width: int = 64  # of an item's vector and of every layer
    blocks: int = 2  # transformer blocks
    heads: int = 1  # of attention
    inner: int = 64  # width inside the feed-forward layers
    dropout: float = 0.5  # 0.2 where users have hundreds of events
    loss: Literal["softmax", "bce"] = "softmax"  # over the catalog, or against negatives
    negatives: int = 1  # per target, for bce
    epochs: int = 40  # at most, and the length of the learning rate's schedule
    patience: int = 6  # validations without a better NDCG@10
    validate_every: int = 1  # epochs
    batch_size: int = 128  # windows of histories
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.1  # of AdamW

    def __post_init__(self) -> None:
        counts = ("length", "width", "blocks", "heads", "inner", "negatives", "batch_size")
        check_at_least(self, 1, *counts, "epochs", "patience", "validate_every")
        check_share(self, "dropout")

    @classmethod
    def as_published(cls) -> Config:
        """The paper's loss, and its dropout for sparse data."""
        return cls(
            loss="bce", dropout=0.5, weight_decay=0.0, epochs=300, patience=4, validate_every=10
        )


class SASRec(nn.Module):
    """The model: an item table, and a causal transformer over the items of a history."""

    def __init__(self, config: Config, items: int) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, config.width, padding_idx=items)
        self.history = HistoryTransformer(
            length=config.length,
            width=config.width,
            blocks=config.blocks,
            heads=config.heads,
            inner=config.inner,
            dropout=config.dropout,
        )
        nn.init.normal_(self.items.weight, std=0.02)
        with torch.no_grad():
            self.items.weight[items].zero_()

    def item_vectors(self) -> Tensor:
        """items_ND, without the padding row."""
        return self.items.weight[:-1]

    def forward(self, batch: SequenceBatch) -> Tensor:
        """state_BTD after each position; only the first lengths_B positions mean anything."""
        state_BTD: Tensor = self.history(self._embedded(batch), batch.lengths_B)
        return state_BTD

    def last_states(self, batch: SequenceBatch) -> Tensor:
        """state_BD after each history: what `forward` gives at its last position, for less."""
        return self.history.last(self._embedded(batch), batch.lengths_B)

    def _embedded(self, batch: SequenceBatch) -> Tensor:
        """x_BTD of the items."""
        x_BTD: Tensor = self.items(batch.items_BT) * self.items.embedding_dim**0.5
        return x_BTD


def fit(dataset: Dataset, config: Config, run: Run) -> DotProduct:
    """Train on a dataset; the run's validation questions choose the epoch."""
    torch.manual_seed(run.seed)
    model = SASRec(config, items=len(dataset.items)).to(run.device)
    recommender = DotProduct("sasrec", model, Catalog.of(dataset), config, config.length)
    examples = NextItems(
        dataset.sequences,
        padding=len(dataset.items),
        length=config.length,
        batch_size=config.batch_size,
        seed=run.seed,
    )
    objective = softmax() if config.loss == "softmax" else bce(config.negatives)
    optimizer = AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay)
    run.train(
        model,
        objective,
        examples,
        optimizer,
        config.epochs,
        validate=recommender,
        patience=config.patience,
        validate_every=config.validate_every,
    )
    return recommender


def restore(saved: Saved) -> DotProduct:
    """From saved parts."""
    config = saved.config_of(Config)
    model = SASRec(config, items=len(saved.catalog))
    model.load_state_dict(weights_of(saved))
    return DotProduct("sasrec", model, saved.catalog, config, config.length)
