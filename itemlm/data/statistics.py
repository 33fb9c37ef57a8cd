"""Statistics: what a dataset looks like before anyone trains on it.

`describe` counts, `plot_head_tail` draws how unevenly the events fall on the items.

Shapes      N items, E events.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itemlm.data.dataset import Dataset
from itemlm.data.ties import tied_events
from itemlm.order import distinct
from itemlm.types import ConfigError, DataError, FloatArray, IntArray, MissingExtra

HEAD_SHARE = 0.2  # of the items, the most popular first
LINE, QUIET = "#1f6f8b", "0.45"  # colors of the picture


@dataclass(frozen=True, kw_only=True)
class Description:
    """A dataset in numbers; shares lie between 0 and 1.

    Attributes:
        users, items, events: how many there are.
        items_without_events: items of the catalog that nobody has had.
        density: distinct pairs of user and item that occur, of all pairs that could.
        sparsity: 1 - density.
        mean_history, median_history, max_history: events per user.
        repeat_share: events whose item the user has had before.
        tie_share: events with the same timestamp as a neighbor of the same user; None if untimed.
        popularity_gini: 0 where all items have equally many events, near 1 where one has all.
        head_events_share: events on the most popular fifth of the items.
        first_date, last_date: of the events, as YYYY-MM-DD in UTC; None if untimed.
    """

    name: str
    users: int
    items: int
    items_without_events: int
    events: int
    density: float
    sparsity: float
    mean_history: float
    median_history: float
    max_history: int
    repeat_share: float
    tie_share: float | None
    popularity_gini: float
    head_events_share: float
    first_date: str | None
    last_date: str | None

    def to_dict(self) -> dict[str, Any]:
        """The same as a dictionary that JSON can hold."""
        return asdict(self)


def describe(dataset: Dataset) -> Description:
    """Count everything.

    Raises:
        DataError: if there are no events.
    """
    sequences = dataset.sequences
    events, users, items = len(sequences.item_rows), len(dataset.users), len(dataset.items)
    if not events:
        raise DataError(f"'{dataset.name}' has no events to describe.")
    pair_E = sequences.user_rows.astype(np.int64) * items + sequences.item_rows
    pairs = len(distinct(pair_E))
    tied_E = tied_events(sequences)
    times_E = sequences.timestamps
    return Description(
        name=dataset.name,
        users=users,
        items=items,
        items_without_events=int((dataset.item_counts == 0).sum()),
        events=events,
        density=pairs / (users * items),
        sparsity=1 - pairs / (users * items),
        mean_history=events / users,
        median_history=float(np.median(sequences.lengths)),
        max_history=int(sequences.lengths.max()),
        repeat_share=(events - pairs) / events,
        tie_share=None if tied_E is None else float(tied_E.mean()),
        popularity_gini=gini(dataset.item_counts),
        head_events_share=float(_running_share(dataset.item_counts)[_head(items) - 1]),
        first_date=None if times_E is None else _date(times_E.min()),
        last_date=None if times_E is None else _date(times_E.max()),
    )


def gini(counts_N: IntArray) -> float:
    """Gini coefficient: half the mean difference of two counts, relative to the mean count."""
    ascending_N = np.sort(counts_N).astype(np.float64)
    count = len(ascending_N)
    ranks_N = np.arange(1, count + 1)
    return float((2 * ranks_N - count - 1) @ ascending_N / (count * ascending_N.sum()))


def plot_head_tail(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Draw events per item by popularity rank, and the share of events that the head holds.

    Args:
        dataset: with at least one event.
        path: the picture to write; its suffix (.png or .svg) says in which format.

    Raises:
        ConfigError: if the suffix is another.
        DataError: if there are no events.
    """
    target = Path(path)
    if target.suffix not in (".png", ".svg"):
        raise ConfigError(f"{target} ends in '{target.suffix}'; pictures end in .png or .svg.")
    if not len(dataset.sequences.item_rows):
        raise DataError(f"'{dataset.name}' has no events to draw.")
    figure = _head_tail_figure(dataset)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{uuid.uuid4().hex[:8]}{target.suffix}")
    figure.savefig(aside, dpi=150)
    aside.rename(target)


def _head_tail_figure(dataset: Dataset) -> Any:
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogFormatter, PercentFormatter, StrMethodFormatter
    except ModuleNotFoundError as error:
        raise MissingExtra("Drawing a picture", "plots") from error

    items = len(dataset.items)
    head = _head(items)
    counts_N = np.sort(dataset.item_counts)[::-1]
    shares_N = _running_share(dataset.item_counts)
    drawn = int((counts_N > 0).sum())  # a logarithmic axis has no place for zero
    ranks = np.arange(1, drawn + 1)

    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    above.plot(ranks, counts_N[:drawn], color=LINE, linewidth=2)
    above.set(xscale="log", yscale="log", ylabel="events per item")
    above.set_title(f"{dataset.name}: how events fall on {items:,} items", loc="left")
    if drawn < items:
        words = f"{items - drawn:,} without events are not drawn"
        above.annotate(words, (0.02, 0.09), xycoords="axes fraction", color=QUIET)

    below.plot(ranks, shares_N[:drawn], color=LINE, linewidth=2)
    below.plot(head, shares_N[head - 1], "o", color=LINE)
    below.set(xlabel="popularity rank of the item", ylabel="share of all events", ylim=(0, 1.04))
    left = items >= 30  # the curve rises, so there is room at the upper left and the lower right
    below.annotate(
        f"top {HEAD_SHARE:.0%} of items: {shares_N[head - 1]:.0%} of events",
        (head, shares_N[head - 1]),
        xytext=(-8, 6) if left else (8, -14),
        textcoords="offset points",
        horizontalalignment="right" if left else "left",
    )
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axis.set_minor_formatter(LogFormatter())  # writes only where powers of ten are few
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (above, below):
        axes.axvline(head, color=QUIET, linewidth=1, linestyle="--", zorder=0)
        axes.grid(which="major", color="0.92", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _head(items: int) -> int:
    """How many items make the head."""
    return int(np.ceil(HEAD_SHARE * items))


def _running_share(counts_N: IntArray) -> FloatArray:
    """[N] share of all events on the n + 1 most popular items."""
    descending_N = np.sort(counts_N)[::-1]
    shares_N: FloatArray = np.cumsum(descending_N) / descending_N.sum()
    return shares_N


def _date(milliseconds: int) -> str:
    return str(np.datetime64(int(milliseconds), "ms").astype("datetime64[D]"))
