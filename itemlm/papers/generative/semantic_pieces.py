"""Semantic pieces: an item is the sum of learned pieces of its Semantic ID.

Singh et al., "Better Generalization with Semantic IDs: A Case Study in Ranking for
Recommendations", RecSys 2024. arXiv:2306.08121

The idea    A ranker's table has one row per item, or hashes items to rows at random: nothing is
            learned for an item that nobody took. Here rows belong to pieces of Semantic IDs. Items
            that are alike share pieces; items that are taken often have a long piece of their own.
            Pieces are learned as words' pieces are, from codes weighted by traffic.
Departures  The paper's ranker is YouTube's, with many features and losses, and no public data.
            Ours is a causal transformer over the histories of item vectors, with a softmax over all
            items, so that nothing but the item feature differs. Residual k-means instead of RQ-VAE
            by default; fewer codes, for thousands of items. Pieces know their level, and the code
            that keeps items of one Semantic ID apart is part of it.
Measured    docs/papers/semantic_pieces.md
Shapes      N items, G rows of an item, B histories, T positions, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.nn.computed_items import ComputedItems
from itemlm.nn.history import HistoryTransformer
from itemlm.nn.piece_sum import PieceSum, Projected
from itemlm.objectives.softmax import softmax
from itemlm.papers.stages import item_vectors, semantic_ids, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import NextItems, SequenceBatch
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.tokenize.pieces import hash_rows, learn_pieces, ngrams
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import ConfigError, IntArray


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of semantic pieces."""

    features: Literal["pieces", "ngrams", "hashed", "ids", "vectors"] = "pieces"  # of an item
    rows: int = 8192  # of the table that pieces, n-grams or hashed items share
    n: int = 2  # codes of an n-gram
    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 4  # semantic codes per item
    codes: int = 256  # per level
    length: int = 50  # most recent events read
    width: int = 64  # of an item's vector and of every layer
    blocks: int = 2  # transformer blocks
    heads: int = 1  # of attention
    inner: int = 64  # width inside the feed-forward layers
    dropout: float = 0.5  # 0.2 where users have hundreds of events
    epochs: int = 40  # at most, and the length of the learning rate's schedule
    patience: int = 6  # validations without a better NDCG@10
    validate_every: int = 1  # epochs
    batch_size: int = 128  # windows of histories
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.1  # of AdamW

    def __post_init__(self) -> None:
        counts = ("rows", "n", "levels", "codes", "length", "width", "blocks", "heads", "inner")
        check_at_least(self, 1, *counts, "batch_size", "epochs", "patience", "validate_every")
        check_share(self, "dropout")
        check_tokenizer(self.tokenizer)
        if self.features == "pieces" and self.rows < self.levels * self.codes:
            raise ConfigError(
                f"rows is {self.rows}, but {self.levels} levels of {self.codes} codes are "
                f"{self.levels * self.codes} pieces before longer ones. Give more rows or fewer "
                "codes."
            )

    @classmethod
    def as_published(cls) -> Config:
        """The paper's tokenizer and codes; the size of the table is ours."""
        return cls(tokenizer="rqvae", levels=8, codes=2048, rows=2**15)


class Ranker(ComputedItems):
    """Item vectors of any kind, and a causal transformer over those of a history."""

    def __init__(self, config: Config, items: PieceSum | Projected) -> None:
        super().__init__()
        self.items = items
        self.history = HistoryTransformer(
            length=config.length,
            width=config.width,
            blocks=config.blocks,
            heads=config.heads,
            inner=config.inner,
            dropout=config.dropout,
        )

    def compute_items(self) -> Tensor:
        """items_ND."""
        return self.items.vectors()

    def forward(self, batch: SequenceBatch) -> Tensor:
        """state_BTD after each position; only the first lengths_B positions mean anything."""
        state_BTD: Tensor = self.history(self._read(batch), batch.lengths_B)
        return state_BTD

    def last_states(self, batch: SequenceBatch) -> Tensor:
        """state_BD after each history."""
        return self.history.last(self._read(batch), batch.lengths_B)

    def _read(self, batch: SequenceBatch) -> Tensor:
        x_BTD: Tensor = self.items(batch.items_BT)
        scale: float = x_BTD.shape[-1] ** 0.5
        return x_BTD * scale


def fit(dataset: Dataset, config: Config, run: Run) -> DotProduct:
    """Make features, and train a ranker on them."""
    # 1. Say what each item is made of.
    torch.manual_seed(run.seed)
    if config.features == "vectors":
        given_NE = torch.from_numpy(item_vectors(dataset, config.encoder, run))
        model = Ranker(config, Projected(given_NE, config.width))
    else:
        rows_NG = features(dataset, config, run)
        table = len(dataset.items) if config.features == "ids" else config.rows
        model = Ranker(config, PieceSum(torch.from_numpy(rows_NG), table, config.width))
    model = model.to(run.device)
    # 2. Learn to tell, after every event of a history, which item comes next.
    recommender = DotProduct("semantic_pieces", model, Catalog.of(dataset), config, config.length)
    run.train(
        model,
        softmax(),
        NextItems(
            dataset.sequences,
            padding=len(dataset.items),
            length=config.length,
            batch_size=config.batch_size,
            seed=run.seed,
        ),
        AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay),
        config.epochs,
        validate=recommender,
        patience=config.patience,
        validate_every=config.validate_every,
    )
    return recommender


def features(dataset: Dataset, config: Config, run: Run) -> IntArray:
    """rows_NG: the rows of the table that make up each item, -1 where it has fewer."""
    row_N1 = np.arange(len(dataset.items))[:, None]
    if config.features == "ids":
        return row_N1
    if config.features == "hashed":
        return hash_rows(row_N1, config.rows)[:, None]
    tokens = semantic_ids(dataset, config, run)
    if config.features == "ngrams":
        return ngrams(tokens.codes_NL, config.n, config.rows)
    weights_N = dataset.item_counts.astype(np.float64)
    pieces = learn_pieces(tokens.codes_NL, tokens.levels, weights_N, config.rows)
    return pieces.spell(tokens.codes_NL)


def restore(saved: Saved) -> DotProduct:
    """From saved parts."""
    config = saved.config_of(Config)
    state = weights_of(saved)
    items: PieceSum | Projected
    if config.features == "vectors":
        items = Projected(state["items.given_NE"], config.width)
    else:
        table = len(state["items.table.weight"]) - 1
        items = PieceSum(state["items.rows_NG"], table, config.width)
    model = Ranker(config, items)
    model.load_state_dict(state)
    return DotProduct("semantic_pieces", model, saved.catalog, config, config.length)
