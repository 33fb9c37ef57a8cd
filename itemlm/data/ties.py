"""Ties: events of one user at one moment, whose order nobody knows.

Shapes      E events, T tied events.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.order import BLOCK, history_order
from itemlm.types import BoolArray

Ties = Literal["shuffle", "as_given"]


def order_ties(sequences: Sequences, ties: Ties, seed: int) -> Sequences:
    """Events in the order that the protocol reads them: tied ones shuffled by seed."""
    if ties == "as_given" or sequences.timestamps is None:
        return sequences
    if not sequences.in_time_order:
        key_E = np.random.default_rng(seed).random(len(sequences.item_rows))
        return sequences.reorder(np.lexsort((key_E, sequences.timestamps, sequences.user_rows)))
    return _shuffled_ties(sequences, seed)


def _shuffled_ties(sequences: Sequences, seed: int) -> Sequences:
    """What sorting by user, time and a random key comes to, where only tied events move."""
    tied_E = tied_events(sequences)
    if tied_E is None or not tied_E.any():
        return sequences
    rng = np.random.default_rng(seed)
    blocks = np.array_split(tied_E, len(tied_E) // BLOCK + 1)
    key_T = np.concatenate([rng.random(len(block))[block] for block in blocks])
    place_T = np.flatnonzero(tied_E)
    run_T = np.cumsum(~_twins(sequences)[place_T], dtype=np.int64)
    order_T = history_order(run_T, (key_T * 2.0**53).astype(np.int64))  # the keys have 53 bits
    order_E = np.arange(len(tied_E))
    order_E[place_T] = place_T[order_T]
    return sequences.reorder(order_E)


def tie_words(sequences: Sequences, ties: Ties, seed: int) -> str:
    """What `order_ties` does, for the name of a protocol."""
    if sequences.timestamps is None:
        return "unknown (no timestamps), order as given"
    return f"shuffled with seed {seed}" if ties == "shuffle" else "in the order given"


def tied_events(sequences: Sequences) -> BoolArray | None:
    """[E] events that have the same timestamp as a neighbor of the same user; None if untimed."""
    if sequences.timestamps is None:
        return None
    twin_E = _twins(sequences)
    tied_E = twin_E.copy()
    tied_E[:-1] |= twin_E[1:]
    return tied_E


def _twins(sequences: Sequences) -> BoolArray:
    """[E] events at the moment of the same user's event before."""
    times = sequences.timestamps
    assert times is not None
    twin_E = np.zeros(len(times), dtype=bool)
    twin_E[1:] = times[1:] == times[:-1]
    twin_E[sequences.seams + 1] = False
    return twin_E
