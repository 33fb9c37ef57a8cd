"""Data that every contender reads in the same form: plain NumPy arrays in a cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

CACHE = Path(os.environ.get("ITEMLM_BENCH_CACHE", Path.home() / ".cache" / "itemlm-bench"))


def movielens(last: int | None = None) -> Path:
    """ML-1M, leave-one-out: a folder for `contenders.common.load_sequences`.

    Args:
        last: keep only so many events of each user before the target, so that contenders which
            read no more than that learn from exactly the same targets; None keeps all.
    """
    return leave_last_out("ml-1m", last)


def leave_last_out(name: str, last: int | None = None) -> Path:
    """A named dataset with the last event of each user as the target; see `movielens`."""
    folder = CACHE / f"{name}-last-{last or 'all'}"
    if (folder / "targets.npy").exists():
        return folder
    import itemlm

    sequences = itemlm.load(name).sequences
    offsets, item_rows = sequences.offsets, sequences.item_rows
    counts_U = np.diff(offsets)
    if counts_U.min() < 3:
        raise SystemExit(f"{name} has users with fewer than 3 events; use a 5-core set.")
    before_U = counts_U - 1
    kept_U = before_U if last is None else np.minimum(before_U, last)
    starts_U = offsets[1:] - 1 - kept_U
    new_offsets = np.concatenate([[0], np.cumsum(kept_U)])
    place_E = np.repeat(starts_U - new_offsets[:-1], kept_U) + np.arange(new_offsets[-1])
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "offsets.npy", new_offsets.astype(np.int64))
    np.save(folder / "item_rows.npy", np.asarray(item_rows)[place_E].astype(np.int64))
    np.save(folder / "targets.npy", np.asarray(item_rows)[offsets[1:] - 1].astype(np.int64))
    return folder
