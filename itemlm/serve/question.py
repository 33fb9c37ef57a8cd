"""A question as the model's thread gets it, and what it makes of it.

Shapes      K places of a slate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from itemlm.serve.release import Release
from itemlm.serve.rules.scenarios import Settings
from itemlm.serve.schemas import Fallback, Source
from itemlm.types import ItemId


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What to recommend, with everything looked up that needs no waiting.

    Attributes:
        release: who answers.
        shaping: rules and dials.
        user, session: who asks; their stored events are the history where none is given.
        history: item ids, oldest first; None where it is to be looked up.
        text: a wish in words.
        only, exclude: allow and block list.
        seed: of chance, where it was asked for.
    """

    release: Release
    shaping: Settings
    user: str | None = None
    session: str | None = None
    history: Sequence[ItemId] | None = None
    text: str | None = None
    only: Sequence[ItemId] | None = None
    exclude: Sequence[ItemId] = ()
    seed: int = 0


@dataclass(kw_only=True, eq=False)
class Found:
    """A slate as rows of a release.

    Attributes:
        release: whose rows they are.
        history: rows of what was read of the history.
        rows, scores: the slate; a score is NaN where there is none.
        pinned: which places were given.
        propensities: of each place, where chance was asked for.
        source, fallback: who answered.
        notes: what the asker should know.
    """

    release: Release
    history: list[int]
    rows: list[int]
    scores: list[float]
    pinned: list[bool]
    propensities: list[float] | None
    source: Source
    fallback: Fallback | None = None
    notes: list[str] = field(default_factory=list)
