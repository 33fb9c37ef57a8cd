"""Scenarios: the settings of an answer, from a request, a saved scenario and the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itemlm.serve.rules.expressions import joined
from itemlm.serve.schemas import Boost, Pin, RecommendRequest, Shaping

DEFAULTS: dict[str, Any] = {
    "k": 10,
    "exclude_seen": True,
    "diversity": 0.0,
    "novelty": 0.0,
    "explore": 0.0,
    "explain": False,
}
# What holds where nothing is set; the lists and tables in it are only read.
OPEN: dict[str, Any] = {
    name: DEFAULTS.get(name, setting.get_default(call_default_factory=True))
    for name, setting in Shaping.model_fields.items()
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`Shaping` with nothing left open: what each means is said there."""

    k: int
    model: str | None
    filter: str | None
    boost: list[Boost]
    pin: list[Pin]
    max_per: Mapping[str, int]
    exclude_seen: bool
    diversity: float
    novelty: float
    explore: float
    fields: list[str]
    explain: bool


def merged(request: RecommendRequest, scenario: Shaping | None = None) -> Settings:
    """What holds for a request: what it sets itself, else its scenario, else the defaults.

    A setting that is null counts as not set. A list or table that is set replaces the scenario's,
    and an empty one takes it away. Only filters add up: an item must meet the scenario's and the
    request's.

    Raises:
        RuleError: if there are two filters and one of them cannot be read.
    """
    settings = dict(OPEN)
    for given in (scenario, request):
        if given is not None:
            for name in given.model_fields_set & OPEN.keys():
                if (value := getattr(given, name)) is not None:
                    settings[name] = value
    if scenario is not None and scenario.filter is not None and request.filter is not None:
        settings["filter"] = joined(scenario.filter, request.filter)
    return Settings(**settings)
