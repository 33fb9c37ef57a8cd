"""Slices: for whom, and for which items, do the recommendations work?

An average hides that a model may only serve popular items or long histories. A slice keeps some of
the targets, and with them the questions that still have one.

Shapes      Q questions, P pairs of question and target, N items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlm.data.held_out import HeldOut
from itemlm.evaluation.metrics import Targets
from itemlm.types import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some of the targets, and in words which.

    Attributes:
        family: what the slices of this family tell apart, such as "popularity of the target".
        name: "head items", "short histories", ...
        definition: with its limits, as numbers.
        keep_P: the pairs that belong to it.
    """

    family: str
    name: str
    definition: str
    keep_P: BoolArray


def slices_of(held_out: HeldOut, targets: Targets) -> list[Slice]:
    """Every slice that has at least one target."""
    counts_N = held_out.train_counts_N
    found = _by_popularity(counts_N, targets) + _by_length(held_out, targets)
    if (counts_N[targets.item_P] == 0).any():
        found += _known_in_training(counts_N, targets)
    return [part for part in found if part.keep_P.any()]


def new_targets(held_out: HeldOut, targets: Targets) -> BoolArray:
    """[P] targets that are not in the history of their question; masking hides all others."""
    return ~held_out.queries.holds(targets.question_P, targets.item_P)


def _by_popularity(train_counts_N: IntArray, targets: Targets) -> list[Slice]:
    """Head, mid and tail are the items that cover a third of the training events each."""
    order = np.argsort(-train_counts_N, kind="stable")
    ordered_N = train_counts_N[order]
    before_N = np.cumsum(ordered_N) - ordered_N
    group_N = np.empty(len(order), dtype=np.int64)
    group_N[order] = np.minimum(3 * before_N // max(int(ordered_N.sum()), 1), 2)
    group_N[train_counts_N == 0] = 3
    parts = []
    for group, (name, which) in enumerate(
        (
            ("head items", "most popular"),
            ("mid items", "next most popular"),
            ("tail items", "least popular"),
        )
    ):
        counts = train_counts_N[group_N == group]
        words = "no items"
        if len(counts):
            words = (
                f"the {len(counts):,} {which} items ({counts.min():,} to {counts.max():,} events "
                "each), a third of the training events"
            )
        parts.append((name, words))
    group_P = group_N[targets.item_P]
    return [
        Slice(
            family="popularity of the target", name=name, definition=words, keep_P=group_P == group
        )
        for group, (name, words) in enumerate(parts)
    ]


def _known_in_training(train_counts_N: IntArray, targets: Targets) -> list[Slice]:
    """Items that somebody took in training, and items that nobody could learn about from events."""
    cold_N = train_counts_N == 0
    cold_P = cold_N[targets.item_P]
    parts = (
        ("warm items", f"the {int((~cold_N).sum()):,} items with an event in training", ~cold_P),
        ("cold items", f"the {int(cold_N.sum()):,} items without an event in training", cold_P),
    )
    return [
        Slice(family="target known in training", name=name, definition=words, keep_P=keep_P)
        for name, words, keep_P in parts
    ]


def _by_length(held_out: HeldOut, targets: Targets) -> list[Slice]:
    """Terciles of the history lengths; equal lengths stay together."""
    length_Q = np.diff(held_out.queries.offsets)
    short, long = np.quantile(length_Q, [1 / 3, 2 / 3], method="lower")
    length_P = length_Q[targets.question_P]
    parts = (
        ("short histories", f"histories of up to {short:,} events", length_P <= short),
        (
            "medium histories",
            f"histories of {short + 1:,} to {long:,} events",
            (length_P > short) & (length_P <= long),
        ),
        ("long histories", f"histories of more than {long:,} events", length_P > long),
    )
    return [
        Slice(family="length of the history", name=name, definition=words, keep_P=keep_P)
        for name, words, keep_P in parts
    ]
