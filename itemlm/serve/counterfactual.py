"""Counterfactual: what a slate would be without an item of the history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itemlm.serve.answering import allowed, candidates, fuses, query_of, wanted
from itemlm.serve.fallbacks import fused, spelled
from itemlm.serve.question import Found, Question
from itemlm.serve.slates import is_shaped, shaped

LEFT_OUT = 8  # latest items of a history that are left out, one at a time


def places_without(question: Question, found: Found) -> list[tuple[int, list[int]]]:
    """What the slate would be without each of the latest items of the history.

    The question is asked again with the whole history too. Only where that gives an item the place
    that it has in the slate, the comparison says something; elsewhere the place is said to stay.

    Returns:
        for each item left out, its row and the place of each item of the slate then, 0 for none.
    """
    by_history = ("model", "model+search", "behavior")
    if not found.history or found.source not in by_history or question.shaping.explore:
        return []
    left_out = list(dict.fromkeys(reversed(found.history)))[:LEFT_OUT]
    control, *others = _again(question, found.history, left_out)
    stays = [control.get(row) == place for place, row in enumerate(found.rows, 1)]
    return [
        (
            out,
            [
                place_of.get(row, 0) if stays[place - 1] else place
                for place, row in enumerate(found.rows, 1)
            ],
        )
        for out, place_of in zip(left_out, others, strict=True)
    ]


def _again(
    question: Question, history: Sequence[int], left_out: Sequence[int]
) -> list[dict[int, int]]:
    """The places of items, with the whole history first, then without each of some items."""
    release = question.release
    ids = release.catalog.items.ids_of(np.array(history))
    histories = [ids] + [
        [item for item, row in zip(ids, history, strict=True) if row != out] for out in left_out
    ]
    mask_N = allowed(question)
    if question.shaping.exclude_seen:
        # What was left out could take a place itself, which would push others down.
        mask_N[list(history)] = False
    # Where nothing but the model decides, it can be seen how far an item falls.
    plain = not is_shaped(question) and not fuses(question)
    k = min((2 if plain else 1) * wanted(question), len(release.catalog))
    pools = candidates(
        release,
        [query_of(question, some) for some in histories],
        k,
        exclude_seen=question.shaping.exclude_seen,
        allowed_BN=np.tile(mask_N, (len(histories), 1)),
    )
    if fuses(question):
        searched = spelled(release, question.text, k, mask_N)
        pools = [fused([pool, searched], k) if len(searched[0]) else pool for pool in pools]
    if is_shaped(question):
        slates = [shaped(question, np.array(history), p, "model", None, []).rows for p in pools]
    else:
        slates = [rows.tolist() for rows, _ in pools]
    return [{row: place for place, row in enumerate(slate, 1)} for slate in slates]
