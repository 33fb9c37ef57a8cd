"""Splits: which events are trained on, and which questions are asked afterwards.

Timestamps tie often (on Amazon-2014 Beauty for 43.5 % of the users the last two events), and the
order of a file inside a tie can give the answer away. Every protocol therefore shuffles tied events
by seed unless told otherwise, and reports the share of questions that a tie touches.

Shapes      U users, N items, E events, Q questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from itemlm.data.dataset import Dataset, Sequences
from itemlm.types import BoolArray, ConfigError, DataError, IntArray, QueryBatch

Ties = Literal["shuffle", "as_given"]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Questions whose answers are known.

    Attributes:
        queries: [Q] the histories that a recommender may read.
        target_offsets: [Q + 1] where the answers of each question start in `target_rows`.
        target_rows: the answers, as item rows.
        train_counts_N: events per item in the training part, for slices and novelty.
        protocol: how the split was made, in words.
        tied_Q: whether each question's answer ties in time with the event before it; None where
            there are no timestamps.
        part: "validation" or "test".
        fingerprint: twelve hex digits that change when a question or an answer changes.
    """

    queries: QueryBatch
    target_offsets: IntArray
    target_rows: IntArray
    train_counts_N: IntArray
    protocol: str
    tied_Q: BoolArray | None
    part: str
    fingerprint: str

    @property
    def tie_share(self) -> float | None:
        """Share of questions whose answer ties in time with the event before it."""
        return None if self.tied_Q is None else float(self.tied_Q.mean())

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, count: int, seed: int = 0) -> HeldOut:
        """A random sample of the questions, for quick validation."""
        if count < 1:
            raise ConfigError(f"a sample has at least one question, not {count}.")
        if count >= len(self):
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        histories = _rows_of(self.queries.offsets, self.queries.item_rows, chosen)
        targets = _rows_of(self.target_offsets, self.target_rows, chosen)
        return _held_out(
            history=histories,
            targets=targets,
            user_rows=self.queries.user_rows[chosen],
            train_counts_N=self.train_counts_N,
            protocol=f"{self.protocol}; sample of {count} by seed {seed}",
            tied_Q=None if self.tied_Q is None else self.tied_Q[chosen],
            part=self.part,
        )


@dataclass(frozen=True, kw_only=True)
class Split:
    """The parts of one dataset. Nothing in `validation` or `test` is in `train`."""

    train: Dataset
    validation: HeldOut
    test: HeldOut

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.validation, self.test))


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut:
    """Each user's last event is the test question, the one before it the validation question.

    Users with fewer than `min_events` events are trained on and not asked about.
    """

    seed: int = 0
    ties: Ties = "shuffle"
    min_events: int = 3

    def __post_init__(self) -> None:
        if self.min_events < 3:
            raise ConfigError(
                f"min_events is {self.min_events}, but a user needs at least 3 events: one to "
                "train on, one to validate with and one to test with."
            )

    def split(self, dataset: Dataset) -> Split:
        """Apply to a dataset."""
        sequences = _order(dataset.sequences, self.ties, self.seed)
        asked = np.flatnonzero(sequences.lengths >= self.min_events)
        if not len(asked):
            raise DataError(
                f"no user of '{dataset.name}' has {self.min_events} events, so leave-one-out has "
                "nobody to ask about. Use more data or another protocol."
            )
        last = sequences.offsets[1:][asked] - 1
        in_train = np.ones(len(sequences.item_rows), dtype=bool)
        in_train[last] = in_train[last - 1] = False
        words = (
            f"leave-one-out over users with {self.min_events} events or more, "
            f"ties {_tie_words(sequences, self.ties, self.seed)}"
        )
        train = dataset.with_sequences(sequences.keep(in_train), f"train part: {words}")
        parts = []
        for part, position in (("validation", last - 1), ("test", last)):
            parts.append(_questions(sequences, asked, position, position + 1, train, words, part))
        return Split(train=train, validation=parts[0], test=parts[1])


@dataclass(frozen=True, kw_only=True)
class GlobalTemporal:
    """Train before one moment, validate until a second, test after it: no look into the future.

    The moments are quantiles of the timestamps. A question is asked of every user who has an event
    in the window and at least one before it; the answer is the next event or all of the window's.
    """

    validation_share: float = 0.1
    test_share: float = 0.1
    targets: Literal["next", "all"] = "next"
    seed: int = 0
    ties: Ties = "shuffle"

    def __post_init__(self) -> None:
        _check_shares(self.validation_share, self.test_share)

    def split(self, dataset: Dataset) -> Split:
        """Apply to a dataset."""
        sequences = _order(dataset.sequences, self.ties, self.seed)
        if sequences.timestamps is None:
            raise DataError(
                f"'{dataset.name}' has no timestamps, which a global temporal split needs. "
                "Use leave-one-out, which only needs the order of events."
            )
        early, late = np.quantile(
            sequences.timestamps,
            [1 - self.validation_share - self.test_share, 1 - self.test_share],
            method="higher",
        )
        words = (
            f"global temporal, {self.validation_share:.0%} validation and {self.test_share:.0%} "
            f"test, {self.targets} target, ties {_tie_words(sequences, self.ties, self.seed)}"
        )
        train = dataset.with_sequences(
            sequences.keep(sequences.timestamps < early), f"train part: {words}"
        )
        before_early = _count_before(sequences, early)
        before_late = _count_before(sequences, late)
        parts = []
        for part, start, stop in (
            ("validation", before_early, before_late),
            ("test", before_late, sequences.lengths),
        ):
            asked = np.flatnonzero((stop > start) & (start > 0))
            if not len(asked):
                raise DataError(
                    f"nobody in '{dataset.name}' has events both before and inside the {part} "
                    "window. Choose larger shares or another protocol."
                )
            first = sequences.offsets[asked] + start[asked]
            last = first + 1 if self.targets == "next" else sequences.offsets[asked] + stop[asked]
            parts.append(_questions(sequences, asked, first, last, train, words, part))
        return Split(train=train, validation=parts[0], test=parts[1])


@dataclass(frozen=True, kw_only=True)
class UserHoldout:
    """Some users are never trained on; each is asked for their last event.

    Measures how a recommender serves people whom it has not seen, from their history alone.
    """

    validation_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
    ties: Ties = "shuffle"

    def __post_init__(self) -> None:
        _check_shares(self.validation_share, self.test_share)

    def split(self, dataset: Dataset) -> Split:
        """Apply to a dataset."""
        sequences = _order(dataset.sequences, self.ties, self.seed)
        able = np.flatnonzero(sequences.lengths >= 2)
        shuffled = np.random.default_rng(self.seed).permutation(able)
        counts = [round(len(able) * share) for share in (self.validation_share, self.test_share)]
        if min(counts) == 0:
            raise DataError(
                f"'{dataset.name}' has {len(able)} users with two events or more, too few to hold "
                "out a share of them. Use leave-one-out or larger shares."
            )
        if sum(counts) >= len(able):
            raise DataError(
                f"holding out {sum(counts)} of the {len(able)} users of '{dataset.name}' who have "
                "two events or more leaves nobody to train on. Choose smaller shares."
            )
        groups = (np.sort(shuffled[: counts[0]]), np.sort(shuffled[counts[0] : sum(counts)]))
        held_U = np.zeros(len(sequences), dtype=bool)
        held_U[np.concatenate(groups)] = True
        words = (
            f"user hold-out, {self.validation_share:.0%} validation and {self.test_share:.0%} "
            f"test users by seed {self.seed}, last event, "
            f"ties {_tie_words(sequences, self.ties, self.seed)}"
        )
        train = dataset.with_sequences(
            sequences.keep(~held_U[sequences.user_rows]), f"train part: {words}"
        )
        parts = []
        for part, asked in zip(("validation", "test"), groups, strict=True):
            last = sequences.offsets[1:][asked] - 1
            parts.append(_questions(sequences, asked, last, last + 1, train, words, part))
        return Split(train=train, validation=parts[0], test=parts[1])


Protocol = LeaveOneOut | GlobalTemporal | UserHoldout


def _order(sequences: Sequences, ties: Ties, seed: int) -> Sequences:
    """Events in the order that the protocol reads them: tied ones shuffled by seed."""
    if ties == "as_given" or sequences.timestamps is None:
        return sequences
    key_E = np.random.default_rng(seed).random(len(sequences.item_rows))
    return sequences.reorder(np.lexsort((key_E, sequences.timestamps, sequences.user_rows)))


def _tie_words(sequences: Sequences, ties: Ties, seed: int) -> str:
    if sequences.timestamps is None:
        return "unknown (no timestamps), order as given"
    return f"shuffled with seed {seed}" if ties == "shuffle" else "in the order given"


def _check_shares(validation: float, test: float) -> None:
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ConfigError(
            f"validation_share is {validation} and test_share {test}; both must be positive, and "
            "their sum below 1."
        )


def _count_before(sequences: Sequences, moment: int) -> IntArray:
    """[U] events of each user before a moment."""
    assert sequences.timestamps is not None
    before = np.concatenate([[0], np.cumsum(sequences.timestamps < moment)]).astype(np.int64)
    counts_U: IntArray = before[sequences.offsets[1:]] - before[sequences.offsets[:-1]]
    return counts_U


def _questions(
    sequences: Sequences,
    asked: IntArray,
    first: IntArray,
    last: IntArray,
    train: Dataset,
    words: str,
    part: str,
) -> HeldOut:
    """Ask `asked` users for events first:last (flat positions), given all that came before."""
    offsets = sequences.offsets[:-1][asked]
    tied_Q = None
    if sequences.timestamps is not None:
        times = sequences.timestamps
        tied_Q = (first > offsets) & (times[first] == times[np.maximum(first - 1, 0)])
    return _held_out(
        history=_spans(sequences.item_rows, offsets, first),
        targets=_spans(sequences.item_rows, first, last),
        user_rows=asked,
        train_counts_N=train.item_counts,
        protocol=words,
        tied_Q=tied_Q,
        part=part,
    )


def _held_out(
    *,
    history: tuple[IntArray, IntArray],
    targets: tuple[IntArray, IntArray],
    user_rows: IntArray,
    train_counts_N: IntArray,
    protocol: str,
    tied_Q: BoolArray | None,
    part: str,
) -> HeldOut:
    digest = hashlib.sha256(protocol.encode())
    for array in (*history, *targets, user_rows):
        digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    return HeldOut(
        queries=QueryBatch(offsets=history[0], item_rows=history[1], user_rows=user_rows),
        target_offsets=targets[0],
        target_rows=targets[1],
        train_counts_N=train_counts_N,
        protocol=protocol,
        tied_Q=tied_Q,
        part=part,
        fingerprint=digest.hexdigest()[:12],
    )


def _spans(values: IntArray, start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """Values of many spans start:stop, concatenated, with the offsets of each span."""
    lengths = stop - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - start, lengths)
    return offsets, values[inside].astype(np.int64)


def _rows_of(offsets: IntArray, values: IntArray, chosen: IntArray) -> tuple[IntArray, IntArray]:
    return _spans(values, offsets[:-1][chosen], offsets[1:][chosen])


def tied_events(sequences: Sequences) -> BoolArray | None:
    """[E] events that have the same timestamp as a neighbor of the same user; None if untimed."""
    if sequences.timestamps is None:
        return None
    times, users = sequences.timestamps, sequences.user_rows
    same = (times[1:] == times[:-1]) & (users[1:] == users[:-1])
    tied = np.zeros(len(times), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    return tied


def hold_out_last(
    dataset: Dataset, questions: int = 10_000, seed: int = 0
) -> tuple[Dataset, HeldOut]:
    """For early stopping: remove the last event of some users, to be asked about it.

    Takes at most `questions` users, and at most half of those with three events or more, so that
    a model still learns from most people's newest events.

    Raises:
        DataError: if nobody has three events.
    """
    sequences = _order(dataset.sequences, "shuffle", seed)
    able = np.flatnonzero(sequences.lengths >= 3)
    count = min(questions, -(-len(able) // 2))
    if not count:
        raise DataError(
            f"no user of '{dataset.name}' has three events, so nobody can be held out to decide "
            "when to stop training. Give more events."
        )
    asked = np.sort(np.random.default_rng(seed).choice(able, count, replace=False))
    last = sequences.offsets[1:][asked] - 1
    in_train = np.ones(len(sequences.item_rows), dtype=bool)
    in_train[last] = False
    words = f"last event of {count} users, ties {_tie_words(sequences, 'shuffle', seed)}"
    train = dataset.with_sequences(sequences.keep(in_train), f"train part without the {words}")
    return train, _questions(sequences, asked, last, last + 1, train, words, "validation")
