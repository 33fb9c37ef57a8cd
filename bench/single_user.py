"""Milliseconds to recommend ten items to one user, who waits for them.

python bench/single_user.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from harness import data
from harness.race import Contender, Figure, Race


def prepared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The folder of the data."""
    if "dataset" in settings:
        return {"data": str(data.leave_last_out(settings["dataset"]))}
    return {"data": made_up(settings["items"], settings["users"], settings["events_per_user"])}


def made_up(items: int, users: int, events_per_user: int) -> str:
    """Histories without meaning: popularity by Zipf's law, and each item at least once."""
    folder = data.CACHE / f"zipf-{items}-{users}-{events_per_user}"
    if not (folder / "targets.npy").exists():
        rng = np.random.default_rng(0)
        lengths_U = 1 + rng.poisson(events_per_user - 1, users)
        popularity_N = 1 / np.arange(1, items + 1) ** 0.9
        item_rows = rng.choice(items, lengths_U.sum(), p=popularity_N / popularity_N.sum())
        item_rows[rng.choice(len(item_rows), items, replace=False)] = np.arange(items)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths_U)]))
        np.save(folder / "item_rows.npy", item_rows)
        np.save(folder / "targets.npy", np.zeros(users, dtype=np.int64))
    return str(folder)


def contender(who: str, model: str, **settings: Any) -> Contender:
    """One model of one library."""
    words = " ".join([who, model, *settings])
    return Contender(words, script=who, settings={"model": model, **settings})


SMALL = {"dataset": "ml-1m", "calls": 200}
LARGE = {"items": 100_000, "users": 20_000, "events_per_user": 50, "calls": 200}
QUICK_LARGE = {"items": 5_000, "users": 1_000, "events_per_user": 20, "calls": 50}
QUICK_SMALL = {"dataset": "ml-100k", "calls": 50}

SEQUENTIAL = (contender("itemlm", "sasrec"), contender("rectools", "sasrec"))
NEIGHBORS = (
    contender("itemlm", "itemknn"),
    contender("implicit", "cosine"),
    contender("lenskit", "itemknn"),
)
FACTORS = (
    contender("itemlm", "ials"),
    contender("implicit", "als"),
    contender("implicit", "als", recalculate=True),
    contender("rectools", "als"),
    contender("lenskit", "als"),
)
LINEAR = (contender("itemlm", "ease"), contender("rectools", "ease"), contender("lenskit", "ease"))


BOUNDS = {
    "neighbors": (
        "We are behind implicit, a loop in C++: some 50 µs of ours are Python and NumPy calls."
    ),
    "factors": (
        "implicit looks a known user's vector up, or solves for it ('recalculate'); ours is always "
        "solved from the history, so that it may be new. Over few items that is most of the time."
    ),
}


def _race(name: str, contenders: tuple[Contender, ...], reach: str, large: bool) -> Race:
    return Race(
        name=f"{name}, {'100,000' if large else '3,416'} items",
        measure="ms",
        contenders=contenders,
        settings=LARGE if large else SMALL,
        quick=QUICK_LARGE if large else QUICK_SMALL,
        rounds=2,
        prepare=prepared,
        reach=reach,
        bound=BOUNDS.get(name, ""),
    )


FIGURE = Figure(
    name="single_user",
    title="Recommending to one user",
    text=(
        "From ids to ids: a history of item ids, or for peers the id of a user whom they were "
        "fitted on, to the ids of ten items that this user has not seen. implicit knows rows "
        "only and is spared the look-up of ids. One call after the other for 200 users after 30 "
        "to warm up, the median. SASRec has width 64, 2 blocks, 2 heads and reads 50 events, and "
        "is untrained; factor models have 64 factors. ML-1M (3,416 items, 165 events a user), and "
        "made-up histories over 100,000 items (50 events a user)."
    ),
    races=(
        _race("SASRec", SEQUENTIAL, "2 ms", large=False),
        _race("neighbors", NEIGHBORS, "as implicit", large=False),
        _race("factors", FACTORS, "as implicit", large=False),
        _race("linear", LINEAR, "the best", large=False),
        _race("SASRec", SEQUENTIAL, "the best", large=True),
        _race("neighbors", NEIGHBORS, "as implicit", large=True),
        _race("factors", FACTORS, "as implicit", large=True),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
