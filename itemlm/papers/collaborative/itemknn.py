"""ItemKNN: recommend what was taken together with, or soon after, the latest items of a history.

Sarwar, Karypis, Konstan and Riedl, "Item-based collaborative filtering recommendation algorithms",
WWW 2001 (`Config.plain()`: cosine over whole histories). The default adds what Ludewig and
Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018, arXiv:1803.09587,
found to beat many neural models: rules from an item to those that follow it closely, and votes that
fade with age.

The idea    Count how often item j follows item i within a few steps. Every recent item of a history
            then votes for its followers. There is nothing to train, a new event counts at once, and
            each recommendation can be traced to the events that voted for it.
Departures  From sequential rules: the weight of a pair falls geometrically with its distance;
            pairs count in the other direction too, at a discount, because the order of events close
            in time says little; the last items vote, not only the last one; a light penalty on
            popular items. From Sarwar et al.: events are taken as they are, without ratings.
            Items without a vote follow in order of popularity, with scores in [-1, 0).
Measured    docs/papers/itemknn.md
Shapes      B queries, N items, E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from itemlm.data.dataset import Dataset, Sequences
from itemlm.papers.collaborative.popularity import below_evidence
from itemlm.recommender import Catalog, Recommender, Saved
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.types import ConfigError, FloatArray, IntArray, QueryBatch

if TYPE_CHECKING:
    from itemlm.train.run import Run

ROWS_AT_A_TIME = 1024  # items whose neighbors are found together; bounds memory


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings; the defaults were chosen on the validation parts of Beauty and ML-1M together.

    similarity(i, j) = co_occurrence(i, j) / (count_i ** source_power * count_j ** target_power)

    Attributes:
        window: steps within which a pair counts. None: anywhere in the same history, once per user
            and whatever the order, so that distance_decay and backward do not matter.
        distance_decay: a pair d steps apart counts distance_decay ** (d - 1).
        backward: what a pair counts against its direction; 0: only forward, 1: both alike.
        source_power, target_power: 0.5 and 0.5 is the cosine; less of the second favors popular
            items.
        neighbors: most similar items kept for each item.
        last: how many of the latest events of a history vote; None: all.
        recency: the vote of an event that is a steps old is recency ** a.
    """

    window: int | None = 10
    distance_decay: float = 0.9
    backward: float = 0.4
    source_power: float = 0.5
    target_power: float = 0.2
    neighbors: int = 200
    last: int | None = 20
    recency: float = 0.7

    def __post_init__(self) -> None:
        for name in ("window", "neighbors", "last"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}, but must be at least 1.")
        for name in ("distance_decay", "recency"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ConfigError(f"{name} is {value}, but must be more than 0 and at most 1.")
        if not 0 <= self.backward <= 1:
            raise ConfigError(f"backward is {self.backward}, but must lie between 0 and 1.")

    @classmethod
    def plain(cls) -> Config:
        """Cosine similarity over whole histories; every event votes alike (Sarwar et al.)."""
        return cls(window=None, source_power=0.5, target_power=0.5, last=None, recency=1.0)


class ItemKNN(Recommender):
    """A sparse table of similar items, and the order of popularity for the rest."""

    paper = "itemknn"

    def __init__(
        self, catalog: Catalog, config: Config, similar_NN: sp.csr_matrix, filler_N: FloatArray
    ) -> None:
        super().__init__(catalog, config)
        self.similar_NN = similar_NN
        self.filler_N = filler_N

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The items with most votes that may be shown; scores are sums of votes."""
        return topk_in_blocks(self._score, batch, k, items=len(self.filler_N))

    def _score(self, batch: QueryBatch) -> FloatArray:
        votes_BN = (_recent(batch, self.config, len(self.filler_N)) @ self.similar_NN).tocsr()
        scores_BN = np.tile(self.filler_N, (len(batch), 1))
        query_of_vote = np.repeat(np.arange(len(batch)), np.diff(votes_BN.indptr))
        scores_BN[query_of_vote, votes_BN.indices] = votes_BN.data
        return scores_BN

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The table in CSR form, and the filler."""
        return {
            "offsets": self.similar_NN.indptr,
            "item_rows": self.similar_NN.indices,
            "similarities": self.similar_NN.data,
            "filler": self.filler_N,
        }


def fit(dataset: Dataset, config: Config, run: Run) -> ItemKNN:
    """Count and normalize; nothing is trained, so `run` is not used."""
    counts_N = dataset.item_counts
    similar_NN = _similarities(dataset.sequences, counts_N, config)
    return ItemKNN(Catalog.of(dataset), config, similar_NN, below_evidence(counts_N))


def restore(saved: Saved) -> ItemKNN:
    """The recommender back from its parts."""
    state, items = saved.state, len(saved.catalog)
    table = (state["similarities"], state["item_rows"], state["offsets"])
    similar_NN = sp.csr_matrix(table, shape=(items, items))
    return ItemKNN(saved.catalog, saved.config_of(Config), similar_NN, state["filler"])


def _recent(batch: QueryBatch, config: Config, items: int) -> sp.csr_matrix:
    """[B, N] the weight of each history item's vote."""
    query_E = batch.query_of_event
    age_E = batch.offsets[1:][query_E] - 1 - np.arange(len(query_E))
    votes = age_E < (config.last if config.last is not None else len(query_E) + 1)
    weight_E = np.power(config.recency, age_E[votes], dtype=np.float32)
    where = (query_E[votes], batch.item_rows[votes])
    return sp.csr_matrix((weight_E, where), shape=(len(batch), items))


def _similarities(sequences: Sequences, counts_N: IntArray, config: Config) -> sp.csr_matrix:
    """[N, N] line i: the `neighbors` items most similar to item i."""
    items = len(counts_N)
    events_N = np.maximum(counts_N, 1).astype(np.float64)
    whole = config.window is None
    table = _taken(sequences, items) if whole else _near(sequences, items, config)
    lines = []
    for start in range(0, items, ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        pairs = (table[:, rows].T @ table if whole else table[rows]).tocoo()
        if whole:  # every item is most similar to itself, which helps nobody
            pairs.data[pairs.row + start == pairs.col] = 0
        source = events_N[pairs.row + start] ** config.source_power
        pairs.data /= source * events_N[pairs.col] ** config.target_power
        lines.append(_strongest(pairs.tocsr(), config.neighbors))
    return sp.vstack(lines, format="csr").astype(np.float32)


def _taken(sequences: Sequences, items: int) -> sp.csr_matrix:
    """[U, N] 1 where a user has taken an item, however often."""
    ones_E = np.ones(len(sequences.item_rows))
    where = (sequences.user_rows, sequences.item_rows)
    taken_UN = sp.csr_matrix((ones_E, where), shape=(len(sequences), items))
    taken_UN.data[:] = 1
    return taken_UN


def _near(sequences: Sequences, items: int, config: Config) -> sp.csr_matrix:
    """[N, N] pairs within the window, from the earlier item to the later and, for less, back.

    An item that follows itself counts: where people repeat, a repeat is likely. That only shows if
    seen items may be recommended.
    """
    assert config.window is not None
    rows, users = sequences.item_rows, sequences.user_rows
    forward_NN = sp.csr_matrix((items, items))
    longest = int(sequences.lengths.max(initial=0))
    for distance in range(1, min(config.window, longest - 1) + 1):
        same_user = users[distance:] == users[:-distance]
        pairs = (rows[:-distance][same_user], rows[distance:][same_user])
        weights = np.full(len(pairs[0]), config.distance_decay ** (distance - 1))
        forward_NN = forward_NN + sp.csr_matrix((weights, pairs), shape=(items, items))
    return (forward_NN + config.backward * forward_NN.T).tocsr()


def _strongest(lines: sp.csr_matrix, keep: int) -> sp.csr_matrix:
    """The largest positive values of each line; of equal ones, those of the lower rows."""
    lines.eliminate_zeros()
    lines.sort_indices()
    line = np.repeat(np.arange(lines.shape[0]), np.diff(lines.indptr))
    order = np.lexsort((-lines.data, line))
    rank = np.arange(len(order)) - lines.indptr[line]
    kept = np.sort(order[rank < keep])
    offsets = np.searchsorted(line[kept], np.arange(lines.shape[0] + 1))
    return sp.csr_matrix((lines.data[kept], lines.indices[kept], offsets), shape=lines.shape)
