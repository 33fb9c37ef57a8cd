"""Order: which event comes before which, for tens of millions of them.

Shapes      E events.
"""

from __future__ import annotations

import numpy as np

from itemlm.types import BoolArray, IntArray

BITS = 64
BLOCK = 2**18  # events at a time, so that what is in between stays in the processor's cache


def stable_order(key_E: IntArray) -> IntArray:
    """Places of the keys from the lowest to the highest, equal ones in the order given.

    This is `np.argsort(key_E, kind="stable")`, several times as fast for many events: a key and its
    place are packed into one integer, and NumPy sorts integers with vector instructions. Keys that
    leave no room for a place are sorted a digit at a time, the lowest digit first.

    Returns:
        [E] int64.
    """
    if (key_E[1:] >= key_E[:-1]).all():
        return np.arange(len(key_E))
    lowest = int(key_E.min())
    key_bits = (int(key_E.max()) - lowest).bit_length()
    place_bits = len(key_E).bit_length()
    digit_bits = BITS - place_bits
    order_E = None
    for low in range(0, key_bits, digit_bits):
        # Differences are taken in unsigned integers, where the widest range of keys fits.
        packed_E = key_E.astype(np.uint64) if order_E is None else key_E[order_E].astype(np.uint64)
        packed_E -= np.uint64(lowest % 2**BITS)
        packed_E >>= np.uint64(low)
        packed_E <<= np.uint64(place_bits)
        for first in range(0, len(key_E), BLOCK):
            block = packed_E[first : first + BLOCK]
            block |= np.arange(first, first + len(block), dtype=np.uint64)
        packed_E.sort()
        packed_E &= np.uint64(2**place_bits - 1)
        place_E = packed_E.view(np.int64)
        order_E = place_E if order_E is None else order_E[place_E]
    assert order_E is not None
    return order_E


def first_of_run(sorted_E: IntArray) -> BoolArray:
    """[E] where a value differs from the one before it."""
    first_E = np.ones(len(sorted_E), dtype=bool)
    np.not_equal(sorted_E[1:], sorted_E[:-1], out=first_E[1:])
    return first_E


def distinct(key_E: IntArray) -> IntArray:
    """Distinct keys, ascending: a hundred times as fast as `np.unique`, which hashes."""
    sorted_E = np.sort(key_E)
    return sorted_E[first_of_run(sorted_E)]


def count_rows(row_E: IntArray, size: int) -> IntArray:
    """[size] how often each row occurs: `np.bincount` without its copy of all rows as int64."""
    step = max(BLOCK, size)
    counts = np.zeros(size, dtype=np.int64)
    for first in range(0, len(row_E), step):
        counts += np.bincount(row_E[first : first + step], minlength=size)
    return counts


def history_order(user_row_E: IntArray, time_E: IntArray | None) -> IntArray:
    """Places of events by user, then by time where it is known, then in the order given.

    The same as `np.lexsort((time_E, user_row_E))`. A log that is in the order of time, as most are,
    only needs to be sorted by user.
    """
    if time_E is None or (time_E[1:] >= time_E[:-1]).all():
        return stable_order(user_row_E)
    order_E = stable_order(time_E)
    by_user_E = stable_order(user_row_E[order_E])
    return order_E[by_user_E]
