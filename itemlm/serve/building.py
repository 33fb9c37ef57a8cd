"""From rows of a release to what goes over the wire."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Sequence

import numpy as np

from itemlm.serve.question import Found
from itemlm.serve.release import Release
from itemlm.serve.schemas import ItemAnswer, Recommended, Why
from itemlm.serve.store.rows import Shown

NAMES_AT_A_TIME = 256


def recommended(
    found: Found, fields: Sequence[str], whys: Sequence[Why] | None
) -> list[Recommended]:
    """The places of a slate."""
    ids = found.release.catalog.items.ids_of(np.array(found.rows, dtype=np.int64))
    shown = found.release.fields(found.rows, fields) if fields else None
    return [
        Recommended(
            item_id=item_id,
            score=score_of(found.scores[place]),
            fields=None if shown is None else shown[place],
            why=None if whys is None else whys[place],
            pinned=found.pinned[place],
            propensity=None if found.propensities is None else found.propensities[place],
        )
        for place, item_id in enumerate(ids)
    ]


def shown(items: Sequence[Recommended]) -> list[Shown]:
    """The same as it is stored."""
    return [
        Shown(
            item_id=str(item.item_id),
            place=place,
            score=item.score,
            propensity=item.propensity,
            pinned=item.pinned,
        )
        for place, item in enumerate(items, 1)
    ]


def score_of(score: float) -> float | None:
    """A score as JSON can hold it."""
    return score if math.isfinite(score) else None


def item_answer(release: Release, row: int, stand_ins: Sequence[int] = ()) -> ItemAnswer:
    """An item with all its fields."""
    ids = release.catalog.items.ids
    codes = None
    if release.codes_NL is not None:
        codes = [code for code in release.codes_NL[row].tolist() if code >= 0] or None
    return ItemAnswer(
        item_id=ids[row],
        fields=release.fields([row])[0],
        arrived=row >= release.live.known,
        removed=bool(release.removed_N[row]),
        codes=codes,
        like=[ids[known] for known in stand_ins],
    )


def _names() -> Iterator[str]:
    """Random names; the system, whose calls are slow, is asked for many at a time."""
    while True:
        block = secrets.token_bytes(16 * NAMES_AT_A_TIME)
        for start in range(0, len(block), 16):
            yield block[start : start + 16].hex()


_NEW = _names()


def new_name() -> str:
    """A name that nothing else has and nobody can guess. Only for the event loop's thread."""
    return next(_NEW)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
