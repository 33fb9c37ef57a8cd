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
Shapes      B queries or lines of a block, N items, E events, Z pairs of items, V events that vote,
            K neighbors.
Memory      One block of pairs at a time, besides the events and the table itself: 100 MB or less,
            or what the pairs of the most popular item need if that is more (32 bytes each; there
            are at most 2 * window, or the length of a history, for each of its events).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences
from itemlm.order import stable_order
from itemlm.papers.collaborative.popularity import below_evidence
from itemlm.recommender import Catalog, Recommender, Saved
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.sparse import CSR, blocks, sum_by_key, together
from itemlm.types import ConfigError, FloatArray, IntArray, QueryBatch

if TYPE_CHECKING:
    from itemlm.train.run import Run

PAIRS_AT_A_TIME = 2**20  # occurrences of pairs that are counted together; bounds memory


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
        self, catalog: Catalog, config: Config, similar_NN: CSR, filler_N: FloatArray
    ) -> None:
        super().__init__(catalog, config)
        self.similar_NN = similar_NN
        self.filler_N = filler_N
        # The same table with lines of one length: beyond its end a line votes with 0 for item N.
        entry_NK, inside_NK = similar_NN.lines(np.arange(len(similar_NN)))
        nobody, nothing = np.int32(len(similar_NN)), np.float32(0)
        self._target_NK = np.where(inside_NK, np.append(similar_NN.columns, 0)[entry_NK], nobody)
        self._vote_NK = np.where(inside_NK, np.append(similar_NN.weights, 0)[entry_NK], nothing)

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The items with most votes that may be shown; scores are sums of votes."""
        return topk_in_blocks(self._score, batch, k, items=len(self.filler_N))

    def _score(self, batch: QueryBatch) -> FloatArray:
        items = len(self.filler_N)
        scores_BN = np.empty((len(batch), items), dtype=np.float32)
        recent_BN = _recent(batch, self.config, items)
        for query, (start, stop) in enumerate(pairwise(recent_BN.offsets.tolist())):
            items_V = recent_BN.columns[start:stop]
            vote_VK = self._vote_NK[items_V] * recent_BN.weights[start:stop, None]
            target_VK = self._target_NK[items_V]
            votes_N = np.bincount(target_VK.ravel(), vote_VK.ravel(), minlength=items + 1)[:items]
            scores_BN[query] = np.where(votes_N > 0, votes_N, self.filler_N)
        return scores_BN

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The table in CSR form, and the filler."""
        return {
            "offsets": self.similar_NN.offsets,
            "item_rows": self.similar_NN.columns,
            "similarities": self.similar_NN.weights,
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
    similar_NN = CSR(state["offsets"], state["item_rows"], state["similarities"], items)
    return ItemKNN(saved.catalog, saved.config_of(Config), similar_NN, state["filler"])


def _recent(batch: QueryBatch, config: Config, items: int) -> CSR:
    """[B, N] the weight of each history item's vote."""
    query_E = batch.query_of_event
    age_E = batch.offsets[1:][query_E] - 1 - np.arange(len(query_E))
    votes_E = age_E < (config.last if config.last is not None else len(query_E) + 1)
    weight = np.power(config.recency, age_E[votes_E], dtype=np.float32)
    votes_before = np.concatenate([[0], np.cumsum(votes_E)])
    return CSR(votes_before[batch.offsets], batch.item_rows[votes_E], weight, items)


def _similarities(sequences: Sequences, counts_N: IntArray, config: Config) -> CSR:
    """[N, N] line i: the `neighbors` items most similar to item i."""
    items = len(counts_N)
    events_N = np.maximum(counts_N, 1).astype(np.float64)
    as_source_N, as_target_N = events_N**-config.source_power, events_N**-config.target_power
    keys, values = [], []
    for sources_B, key_Z, pairs_Z in _pairs(sequences, items, config):
        line_Z, target_Z = np.divmod(key_Z, items)
        similar_Z = pairs_Z * as_source_N[sources_B][line_Z] * as_target_N[target_Z]
        similar_Z = similar_Z.astype(np.float32)
        kept = _strongest(line_Z, similar_Z, config.neighbors)
        keys.append(sources_B[line_Z[kept]] * items + target_Z[kept])
        values.append(similar_Z[kept])
    key_Z = np.concatenate(keys)
    order_Z = stable_order(key_Z)
    similar_NN = CSR.from_keys(key_Z[order_Z], np.concatenate(values)[order_Z], (items, items))
    return replace(similar_NN, columns=similar_NN.columns.astype(np.int32))


# Blocks of source items: their rows, keys (place among these rows * N + target), and how often the
# pairs of each key occurred.
Blocks = Iterator[tuple[IntArray, IntArray, FloatArray]]


def _pairs(sequences: Sequences, items: int, config: Config) -> Blocks:
    return _near(sequences, items, config) if config.window else _together(sequences, items)


def _together(sequences: Sequences, items: int) -> Blocks:
    """By how many users both items were taken, however often."""
    shape = (len(sequences), items)
    taken_UN = CSR.distinct(sequences.user_rows, sequences.item_rows, shape)
    for sources_B, key_Z, users_Z in together(taken_UN):
        # Every item is most similar to itself, which helps nobody.
        other_Z = sources_B[key_Z // items] != key_Z % items
        yield sources_B, key_Z[other_Z], users_Z[other_Z]


def _near(sequences: Sequences, items: int, config: Config) -> Blocks:
    """Pairs within the window, from the earlier item to the later and, for less, back.

    An item that follows itself counts: where people repeat, a repeat is likely. That only shows if
    seen items may be recommended.
    """
    assert config.window is not None
    rows_E, lengths_U = sequences.item_rows, sequences.lengths
    place_E = np.arange(len(rows_E))
    before_E = place_E - np.repeat(sequences.offsets[:-1], lengths_U)
    after_E = np.repeat(sequences.offsets[1:], lengths_U) - 1 - place_E
    window = min(config.window, int(lengths_U.max(initial=1)) - 1)
    by_item_E = stable_order(rows_E)
    counts_N = np.bincount(rows_E, minlength=items)
    starts_N = np.cumsum(counts_N) - counts_N
    for sources in blocks(counts_N * 2 * window, PAIRS_AT_A_TIME):
        size = sources.stop - sources.start
        first = starts_N[sources.start]
        place_e = by_item_E[first : first + counts_N[sources].sum()]
        key_e = (rows_E[place_e] - sources.start).astype(np.int64) * items
        keys, weights = [key_e[:0]], [np.empty(0)]
        for distance in range(1, window + 1):
            for direction, room_E, share in ((1, after_E, 1.0), (-1, before_E, config.backward)):
                inside_e = room_E[place_e] >= distance
                if share > 0:
                    neighbor = rows_E[place_e[inside_e] + direction * distance]
                    keys.append(key_e[inside_e] + neighbor)
                    weight = share * config.distance_decay ** (distance - 1)
                    weights.append(np.full(len(neighbor), weight))
        sources_B = np.arange(sources.start, sources.stop)
        yield sources_B, *sum_by_key(np.concatenate(keys), np.concatenate(weights), size * items)


def _strongest(line_Z: IntArray, value_Z: FloatArray, keep: int) -> IntArray:
    """Where the largest values of each line are; of equal ones, the first.

    Args:
        line_Z: ascending.
        value_Z: positive, float32.
        keep: how many of each line.
    """
    sizes_B = np.bincount(line_Z)
    ends_B = np.cumsum(sizes_B)
    starts_B = ends_B - sizes_B
    # One integer for line and value: positive floats are in the order of their bits, and NumPy
    # sorts integers several times as fast as it sorts by two keys.
    packed_Z = line_Z.astype(np.uint64) << np.uint64(32)
    packed_Z |= ~value_Z.view(np.uint32)
    last_B = np.sort(packed_Z)[np.minimum(starts_B + keep, ends_B) - 1]
    last_Z = np.repeat(last_B, sizes_B)
    kept_Z = packed_Z < last_Z
    tied = np.flatnonzero(packed_Z == last_Z)
    line_T = line_Z[tied]
    room_B = keep - np.bincount(line_Z[kept_Z], minlength=len(sizes_B))
    kept_Z[tied[np.arange(len(tied)) - np.searchsorted(line_T, line_T) < room_B[line_T]]] = True
    return np.flatnonzero(kept_Z)
