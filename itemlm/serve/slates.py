"""Slates: from a question's candidates to the places of its answer, by its rules and dials.

Shapes      K places, C candidates, H items of a history, D width of text vectors.
"""

from __future__ import annotations

import numpy as np

from itemlm.serve.fallbacks import Rows
from itemlm.serve.question import Found, Question
from itemlm.serve.release import Release
from itemlm.serve.rules.shaping import Pool, Rules, shape
from itemlm.serve.schemas import Fallback, Source
from itemlm.types import FloatArray, IntArray, ItemlmError


def is_shaped(question: Question) -> bool:
    """Whether a slate can differ from the model's first places."""
    shaping = question.shaping
    return bool(
        shaping.boost
        or shaping.pin
        or shaping.max_per
        or shaping.diversity
        or shaping.novelty
        or shaping.explore
    )


def shaped(
    question: Question,
    history: IntArray,
    pool: Rows,
    source: Source,
    fallback: Fallback | None,
    notes: list[str],
) -> Found:
    """The slate that a question's rules and dials make of candidates.

    Raises:
        ItemlmError: if a rule does not fit the catalog.
    """
    shaping, release = question.shaping, question.release
    rows_C, scores_C = pool
    k = shaping.k
    pinned = np.zeros(min(k, len(rows_C)), dtype=bool)
    rows_K, scores_K, propensities = rows_C[:k], scores_C[:k], None
    if is_shaped(question):
        made = shape(
            Pool(
                rows_C=rows_C,
                scores_C=scores_C,
                vectors_CD=_vectors(release, rows_C) if shaping.diversity else None,
                popularity_C=release.popularity_N[rows_C] if shaping.novelty else None,
            ),
            _rules(question, rows_C),
            k,
            np.random.default_rng(question.seed) if shaping.explore else None,
        )
        rows_K, scores_K, pinned = made.rows_K, made.scores_K, made.pinned_K
        if made.propensities_K is not None:
            propensities = made.propensities_K.tolist()
    if len(rows_K) < k:
        notes.append(f"fewer than {k} items may be shown.")
    return Found(
        release=release,
        history=history.tolist(),
        rows=rows_K.tolist(),
        scores=scores_K.tolist(),
        pinned=pinned.tolist(),
        propensities=propensities,
        source=source,
        fallback=fallback,
        notes=notes,
    )


def _vectors(release: Release, rows: IntArray) -> FloatArray | None:
    return None if release.index is None else release.index.vectors(rows)


def _rules(question: Question, rows_C: IntArray) -> Rules:
    shaping, release = question.shaping, question.release
    table = release.catalog.table
    limits = []
    for name, most in shaping.max_per.items():
        if name not in table.columns:
            raise ItemlmError(
                f"max_per: items have no field '{name}'. They have: {', '.join(table.columns)}."
            )
        cells = table[name][rows_C].to_list()
        limits.append(([_values(cell) for cell in cells], most))
    # What was to be left out, such as what earlier pages have shown, is not pinned either.
    excluded = set(release.catalog.items.rows(question.exclude).tolist())
    pins: dict[int, int] = {}
    for pin in shaping.pin:
        row = int(release.catalog.items.rows([pin.item_id])[0])
        if row < 0 or release.removed_N[row]:
            raise ItemlmError(f"pin: there is no item {pin.item_id!r}.")
        if row in excluded:
            continue
        if pin.place in pins or row in pins.values():
            raise ItemlmError(f"pin: place {pin.place} or item {pin.item_id!r} is pinned twice.")
        pins[pin.place] = row
    return Rules(
        boosts=[(release.mask(boost.when)[rows_C], boost.by) for boost in shaping.boost],
        limits=limits,
        pins=pins,
        diversity=shaping.diversity,
        novelty=shaping.novelty,
        explore=shaping.explore,
    )


def _values(cell: object) -> list[str]:
    if cell is None:
        return []
    return [str(part) for part in cell] if isinstance(cell, list) else [str(cell)]
