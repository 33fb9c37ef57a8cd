"""Sequential numbers: items are counted in the order in which histories meet them.

Items that stand side by side in a history get numbers side by side. Written in digits, such numbers
share all digits but the last, so the first codes of a path say something about company, for no more
than counting: with base 100, item 10,273 is 1, 2, 73, next to 1, 2, 72 and 1, 2, 74. This is what
P5's numbers do when a language model cuts "10273" into pieces (Geng et al., RecSys 2022).

**Only training histories may be counted.** P5 counted whole histories, and the number of the last
item then follows that of the item before: the answer can be read off the question. "How to Index
Item IDs" (Hua et al., SIGIR-AP 2023, arXiv:2305.06569) counts the training part, and so do we.
Items that it does not have are numbered afterwards, in an order shuffled by seed (there: in the
order of the held-out events, which tells which of them belong together).

Which history is met first is a choice, and the paper has five:

    user            in the order of users, as a file has them (theirs, and our default)
    time            all events by their time; of one moment, a user's stay together
    random          users in an order shuffled by seed
    short_to_long   users with few events first
    long_to_short   users with many events first

Shapes      N items, U users, E events, L digits.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from itemlm.data.sequences import Sequences, span_places
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ConfigError, DataError, IntArray, UnknownName

Order = Literal["user", "time", "random", "short_to_long", "long_to_short"]
ORDERS: tuple[Order, ...] = get_args(Order)


def sequential(
    histories: Sequences, items: int, order: Order = "user", base: int = 100, seed: int = 0
) -> ItemTokens:
    """Numbers by first appearance, as digits of a base.

    Args:
        histories: of the training part.
        items: N.
        order: one of `ORDERS`.
        base: how many values a digit has; numbers get as many digits as the catalog needs.
        seed: of users that tie, and of items without a training event.

    Raises:
        UnknownName: if there is no such order.
        ConfigError: if the base is below 2.
        DataError: if events have no time and are to be ordered by it.
    """
    if base < 2:
        raise ConfigError(f"the base of numbers is {base}, but digits need 2 values at least.")
    number_N = numbers(histories, items, order, seed)
    digits = 1
    while base**digits < items:
        digits += 1
    place_L = base ** np.arange(digits)[::-1]
    codes_NL = number_N[:, None] // place_L % base
    first = int((items - 1) // place_L[0]) + 1
    return ItemTokens(codes_NL, (first, *(base,) * (digits - 1)))


def numbers(histories: Sequences, items: int, order: Order, seed: int) -> IntArray:
    """[N] when each item is met first, counted from 0."""
    if order not in ORDERS:
        raise UnknownName("order of histories", order, ORDERS)
    rng = np.random.default_rng(seed)
    met_E = histories.item_rows[_order_of_events(histories, order, rng)]
    seen, first = np.unique(met_E, return_index=True)
    number_N = np.full(items, -1)
    number_N[seen[np.argsort(first)]] = np.arange(len(seen))
    unseen = np.flatnonzero(number_N < 0)
    number_N[rng.permutation(unseen)] = np.arange(len(seen), items)
    return number_N


def _order_of_events(histories: Sequences, order: Order, rng: np.random.Generator) -> IntArray:
    """[E] places of events, the one counted first at the front."""
    events, users = len(histories.item_rows), len(histories)
    if order == "user":
        return np.arange(events)
    shuffled_U = rng.permutation(users)
    if order == "time":
        if histories.timestamps is None:
            raise DataError(
                "the events have no times, so items cannot be numbered by time; use another order "
                f"of {', '.join(ORDERS)}."
            )
        rank_U = np.argsort(shuffled_U)
        return np.lexsort((np.arange(events), rank_U[histories.user_rows], histories.timestamps))
    if order != "random":
        length_U = histories.lengths[shuffled_U]
        way = 1 if order == "short_to_long" else -1
        shuffled_U = shuffled_U[np.argsort(way * length_U, kind="stable")]
    return span_places(histories.offsets[shuffled_U], histories.offsets[shuffled_U + 1])
