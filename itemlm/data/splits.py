"""Splits: which events are trained on, and which questions are asked afterwards.

Timestamps tie often (on Amazon-2014 Beauty for 43.5 % of the users the last two events), and the
order of a file inside a tie can give the answer away. Every protocol therefore shuffles tied events
by seed unless told otherwise, and reports the share of questions that a tie touches.

Shapes      U users, N items, E events, Q questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.held_out import HeldOut, ask
from itemlm.data.sequences import Sequences
from itemlm.data.ties import Ties, order_ties, tie_words
from itemlm.types import ConfigError, DataError, IntArray


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
        _check_min_events(self.min_events)

    def split(self, dataset: Dataset) -> Split:
        """Apply to a dataset."""
        sequences = order_ties(dataset.sequences, self.ties, self.seed)
        return _leave_one_out(
            dataset,
            sequences,
            self.min_events,
            "ties " + tie_words(sequences, self.ties, self.seed),
        )


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
        sequences = order_ties(dataset.sequences, self.ties, self.seed)
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
            f"test, {self.targets} target, ties {tie_words(sequences, self.ties, self.seed)}"
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
            parts.append(ask(sequences, train, asked, first, last, words, part))
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
        sequences = order_ties(dataset.sequences, self.ties, self.seed)
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
            f"ties {tie_words(sequences, self.ties, self.seed)}"
        )
        train = dataset.with_sequences(
            sequences.keep(~held_U[sequences.user_rows]), f"train part: {words}"
        )
        parts = []
        for part, asked in zip(("validation", "test"), groups, strict=True):
            last = sequences.offsets[1:][asked] - 1
            parts.append(ask(sequences, train, asked, last, last + 1, words, part))
        return Split(train=train, validation=parts[0], test=parts[1])


@dataclass(frozen=True, kw_only=True)
class ColdItems:
    """Leave-one-out where a share of the items is new: they have no event but as test answers.

    The items are drawn by seed from those that have events. Their events are taken out of
    histories and training; those that are a user's last remain as test answers. So no answer of
    the validation part is a new item: nothing is chosen by how well these are found.

    Reports tell the answers apart as warm and cold items. Leave-one-out alone leaves a few items
    without an event in training; Yang et al. 2024 (LIGER, arXiv:2411.18814) call those cold.
    """

    share: float = 0.05
    seed: int = 0
    ties: Ties = "shuffle"
    min_events: int = 3

    def __post_init__(self) -> None:
        _check_min_events(self.min_events)
        if not 0 < self.share < 1:
            raise ConfigError(f"share is {self.share}, but it is a share of the items: 0 to 1.")

    def split(self, dataset: Dataset) -> Split:
        """Apply to a dataset."""
        sequences = order_ties(dataset.sequences, self.ties, self.seed)
        known = np.flatnonzero(dataset.item_counts)
        count = round(self.share * len(known))
        if not count:
            raise DataError(
                f"a share of {self.share:.2%} of the {len(known)} items of '{dataset.name}' that "
                "have events is none. Choose a larger share."
            )
        is_new_N = np.zeros(len(dataset.items), dtype=bool)
        is_new_N[np.random.default_rng(self.seed).choice(known, count, replace=False)] = True
        keep_E = ~is_new_N[sequences.item_rows]
        filled_U = sequences.lengths > 0
        last_U = sequences.offsets[1:][filled_U] - 1
        older_U = sequences.keep(keep_E).lengths[filled_U] - keep_E[last_U]
        # Who has too few other events is not asked, and would be trained on with the last one.
        keep_E[last_U] |= older_U + 1 >= self.min_events
        words = (
            f"{count:,} of {len(known):,} items new by seed {self.seed}, "
            f"ties {tie_words(sequences, self.ties, self.seed)}"
        )
        return _leave_one_out(dataset, sequences.keep(keep_E), self.min_events, words)


Protocol = LeaveOneOut | GlobalTemporal | UserHoldout | ColdItems


def _leave_one_out(dataset: Dataset, sequences: Sequences, min_events: int, how: str) -> Split:
    """The last two events of every user who has enough of them.

    Args:
        dataset: of which the sequences are the events, or some of them.
        sequences: with their ties in order.
        min_events: of users who are asked.
        how: the order of ties, in words, and what was done before.
    """
    asked = np.flatnonzero(sequences.lengths >= min_events)
    if not len(asked):
        raise DataError(
            f"no user of '{dataset.name}' has {min_events} events, so leave-one-out has "
            "nobody to ask about. Use more data or another protocol."
        )
    last = sequences.offsets[1:][asked] - 1
    in_train = np.ones(len(sequences.item_rows), dtype=bool)
    in_train[last] = in_train[last - 1] = False
    words = f"leave-one-out over users with {min_events} events or more, {how}"
    train = dataset.with_sequences(sequences.keep(in_train), f"train part: {words}")
    parts = []
    for part, position in (("validation", last - 1), ("test", last)):
        parts.append(ask(sequences, train, asked, position, position + 1, words, part))
    return Split(train=train, validation=parts[0], test=parts[1])


def _check_min_events(min_events: int) -> None:
    if min_events < 3:
        raise ConfigError(
            f"min_events is {min_events}, but a user needs at least 3 events: one to "
            "train on, one to validate with and one to test with."
        )


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


def hold_out_last(
    dataset: Dataset, questions: int = 10_000, seed: int = 0
) -> tuple[Dataset, HeldOut]:
    """For early stopping: remove the last event of some users, to be asked about it.

    Takes at most `questions` users, and at most half of those with three events or more, so that
    a model still learns from most people's newest events.

    Raises:
        DataError: if nobody has three events.
    """
    sequences = order_ties(dataset.sequences, "shuffle", seed)
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
    words = f"last event of {count} users, ties {tie_words(sequences, 'shuffle', seed)}"
    train = dataset.with_sequences(sequences.keep(in_train), f"train part without the {words}")
    return train, ask(sequences, train, asked, last, last + 1, words, "validation")
