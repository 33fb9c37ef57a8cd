"""What the service says is what the library says, for every family and in any company.

Questions are asked at once, so that they are answered in batches, and compared with the library's
answer to each of them alone.
"""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import itemlm
from itemlm.recommender import Recommender
from itemlm.serve.running import open_service
from itemlm.serve.schemas import RecommendAnswer, RecommendRequest
from itemlm.serve.service import Service
from itemlm.serve.settings import ServiceSettings
from itemlm.types import ItemlmWarning

DATA = itemlm.world(users=60, items=30, mean_history=8).dataset
IDS = DATA.items.ids.to_list()
TRAINED = {"epochs": 1, "width": 8, "inner": 8, "length": 8, "batch_size": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "popularity": {},
    "itemknn": {},
    "ease": {},
    "ials": {},
    "sasrec": {**TRAINED, "blocks": 1},
    "tiger": {**TRAINED, "levels": 2, "codes": 4, "blocks": 1, "heads": 2, "head_width": 4},
}
FILTERS = {
    None: None,
    "year >= 1990": pl.col("year") >= 1990,
    "'drama' in genres or year < 1980": pl.col("genres").list.contains("drama")
    | (pl.col("year") < 1980),
    "year > 3000": pl.col("year") > 3000,
}


class Served(NamedTuple):
    """A service, and the models that it has."""

    service: Service
    models: dict[str, Recommender]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """All families in one service; those that need PyTorch where it is installed."""
    try:
        import torch  # noqa: F401

        names = list(FAMILIES)
    except ImportError:
        names = [name for name in FAMILIES if name not in ("sasrec", "tiger")]
    with tempfile.TemporaryDirectory() as folder:
        home, models = Path(folder), {}
        for name in names:
            models[name] = itemlm.fit(name, DATA, quiet=True, device="cpu", **FAMILIES[name])
            models[name].save(home / name)
        scenarios = {name: {"model": name} for name in names}  # what settings name stays loaded
        service = open_service(
            [home / name for name in names],
            home=home / "home",
            settings=ServiceSettings.model_validate({"scenarios": scenarios}),
        )
        yield Served(service, models)
        service.stop()


QUESTIONS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(list(FAMILIES)),
        "history": st.lists(st.sampled_from([*IDS, "unknown"]), max_size=12),
        "k": st.integers(1, 40),
        "filter": st.sampled_from(list(FILTERS)),
        "exclude_seen": st.booleans(),
    },
    optional={
        "only": st.lists(st.sampled_from(IDS), max_size=10),
        "exclude": st.lists(st.sampled_from(IDS), max_size=10),
    },
)


@given(st.lists(QUESTIONS, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_served_answers_are_the_librarys(served: Served, asked: list[dict[str, Any]]) -> None:
    asked = [question for question in asked if question["model"] in served.models]

    async def ask() -> list[RecommendAnswer]:
        requests = [RecommendRequest.model_validate(question) for question in asked]
        return await asyncio.gather(*map(served.service.recommend, requests))

    for question, answer in zip(asked, asyncio.run(ask()), strict=True):
        only = FILTERS[question["filter"]]
        if "only" in question:
            listed = pl.col("item_id").is_in(question["only"])
            only = listed if only is None else only & listed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ItemlmWarning)  # nothing of a history is known
            slate = served.models[question["model"]].recommend(
                question["history"],
                k=question["k"],
                only=only,
                without=question.get("exclude"),
                exclude_seen=question["exclude_seen"],
            )
        assert [item.item_id for item in answer.items] == slate.items
        assert [item.score for item in answer.items] == pytest.approx(
            slate.scores, rel=1e-4, abs=1e-5
        )
        assert (answer.source, answer.model) == ("model", question["model"])
