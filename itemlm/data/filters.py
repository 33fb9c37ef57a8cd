"""Filters: a dataset with fewer events, and a note that says how many are left.

Users without events go with their events. Items stay in the catalog, so that they can still be
recommended; only `k_core`, which is about the items too, takes them out.

Shapes      U users, N items, E events.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from itemlm.data.dataset import Dataset
from itemlm.data.sequences import Sequences, span_places
from itemlm.data.values import as_milliseconds
from itemlm.data.vocabulary import Vocabulary
from itemlm.types import BoolArray, ConfigError, DataError

Moment = int | str | date


def k_core(dataset: Dataset, users: int = 5, items: int = 5) -> Dataset:
    """Only users with at least `users` events and items with at least `items` events.

    Taking out an item can leave a user with too few events and the reverse, so both are repeated
    until nothing changes. Catalog and vocabularies shrink to what is left.

    Raises:
        ConfigError: if a count is not positive.
        DataError: if nothing is left.
    """
    _check_positive(users=users, items=items)
    offsets, item_E = dataset.sequences.offsets, dataset.sequences.item_rows
    keep_E = np.ones(len(item_E), dtype=bool)
    counts_U, counts_N = dataset.sequences.lengths, dataset.item_counts.copy()
    while True:
        # Only what goes is counted again: after the first round that is little.
        rare_U = (counts_U > 0) & (counts_U < users)
        going = span_places(offsets[:-1][rare_U], offsets[1:][rare_U])
        going = going[keep_E[going]]
        keep_E[going] = False
        counts_U[rare_U] = 0
        counts_N -= np.bincount(item_E[going], minlength=len(counts_N))

        rare_N = (counts_N > 0) & (counts_N < items)
        if not rare_N.any():
            break
        going = np.flatnonzero(keep_E & rare_N[item_E])
        keep_E[going] = False
        counts_N[rare_N] = 0
        user_of_going = np.searchsorted(offsets, going, side="right") - 1
        counts_U -= np.bincount(user_of_going, minlength=len(counts_U))
    words = f"{users}-core of users and {items}-core of items"
    return _kept(dataset, keep_E, words, items_N=counts_N > 0)


def min_history(dataset: Dataset, events: int) -> Dataset:
    """Only users with at least this many events.

    Raises:
        ConfigError: if the count is not positive.
        DataError: if nothing is left.
    """
    _check_positive(events=events)
    keep_E = (dataset.sequences.lengths >= events)[dataset.sequences.user_rows]
    return _kept(dataset, keep_E, f"users with at least {events} events")


def drop_duplicates(dataset: Dataset, keep: Literal["first", "last"] = "first") -> Dataset:
    """Only the first, or the last, event of each user with each item.

    Raises:
        ConfigError: if `keep` is neither.
    """
    if keep not in ("first", "last"):
        raise ConfigError(f"keep is {keep!r}, but it can only be 'first' or 'last'.")
    user_E, item_E = dataset.sequences.user_rows, dataset.sequences.item_rows
    pair_E = user_E.astype(np.int64) * len(dataset.items) + item_E
    if keep == "last":
        pair_E = pair_E[::-1]
    _, chosen = np.unique(pair_E, return_index=True)  # the first place of each pair
    if keep == "last":
        chosen = len(pair_E) - 1 - chosen
    keep_E = np.zeros(len(pair_E), dtype=bool)
    keep_E[chosen] = True
    return _kept(dataset, keep_E, f"the {keep} event of each user with each item")


def time_window(
    dataset: Dataset, start: Moment | None = None, stop: Moment | None = None
) -> Dataset:
    """Only events from `start` on and before `stop`.

    Args:
        dataset: needs timestamps.
        start, stop: an ISO date or date-time (UTC where it has no zone), a `date` or `datetime`, or
            milliseconds since 1970; None for no limit.

    Raises:
        DataError: if there are no timestamps or no events in the window.
        ConfigError: if a moment cannot be read.
    """
    times_E = dataset.sequences.timestamps
    if times_E is None:
        raise DataError(f"'{dataset.name}' has no timestamps, which a time window needs.")
    keep_E = np.ones(len(times_E), dtype=bool)
    words = "events"
    if start is not None:
        keep_E &= times_E >= _milliseconds("start", start)
        words += f" from {start}"
    if stop is not None:
        keep_E &= times_E < _milliseconds("stop", stop)
        words += f" before {stop}"
    return _kept(dataset, keep_E, words)


def min_value(dataset: Dataset, value: float) -> Dataset:
    """Only events with at least this value, as in ratings of 4 and more.

    Raises:
        DataError: if there are no values or none is high enough.
    """
    values_E = dataset.sequences.values
    if values_E is None:
        raise DataError(f"'{dataset.name}' has no values (ratings or weights) to filter by.")
    return _kept(dataset, values_E >= value, f"events with a value of at least {value:g}")


def _check_positive(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} is {count}, but it must be 1 or more.")


def _milliseconds(name: str, moment: Moment) -> int:
    if isinstance(moment, int):
        return moment
    read, meant = as_milliseconds(pl.Series([moment]))
    if read[0] is None or meant not in ("dates", "ISO dates", "milliseconds since 1970"):
        raise ConfigError(
            f"{name} is {moment!r}, but it must be an ISO date or date-time such as 2020-01-31 or "
            "2020-01-31T12:00, or an integer of milliseconds since 1970."
        )
    return int(read[0])


def _kept(
    dataset: Dataset, keep_E: BoolArray, words: str, items_N: BoolArray | None = None
) -> Dataset:
    """The dataset with only the marked events, the users who have any, and the marked items."""
    if not keep_E.any():
        raise DataError(
            f"nothing of '{dataset.name}' is left if only {words} are kept. Loosen the filter."
        )
    kept = dataset.sequences.keep(keep_E)
    users_U = kept.lengths > 0
    if items_N is None:
        items_N = np.ones(len(dataset.items), dtype=bool)
    new_row_N = np.cumsum(items_N, dtype=np.int32) - np.int32(1)
    sequences = Sequences(
        offsets=np.append(kept.offsets[:-1][users_U], len(kept.item_rows)),
        item_rows=new_row_N[kept.item_rows],
        timestamps=kept.timestamps,
        values=kept.values,
    )
    note = (
        f"kept {words}: {keep_E.sum():,} of {len(keep_E):,} events, {users_U.sum():,} of "
        f"{len(users_U):,} users and {items_N.sum():,} of {len(items_N):,} items."
    )
    profiles = dataset.profiles
    return replace(
        dataset,
        users=Vocabulary(dataset.users.ids.filter(users_U)),
        items=Vocabulary(dataset.items.ids.filter(items_N)),
        sequences=sequences,
        catalog=dataset.catalog.filter(items_N),
        profiles=None if profiles is None else profiles.filter(users_U),
        notes=(*dataset.notes, note),
    )
