"""The service answers with exactly what the model says when it is asked alone.

python bench/serving/same_answers.py --models 'runs/*'
"""

from __future__ import annotations

import argparse
import asyncio
import glob
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving import figure, load, questions, server
from serving.figure import Figure, Options, Row

QUESTIONS = 50
AT_ONCE = 16
K = 10
# Small enough to be fitted in seconds; only used without --models.
SMALL: dict[str, dict[str, Any]] = {
    "popularity": {},
    "itemknn": {},
    "ease": {},
    "sasrec": {"width": 16, "epochs": 2, "length": 10},
    "tiger": {
        **{"levels": 2, "codes": 16, "width": 16, "blocks": 1, "heads": 2, "head_width": 8},
        **{"inner": 32, "epochs": 2, "beams": 20, "length": 10, "validation_questions": 50},
    },
}
TEXT = """\
Every saved recommender answers 50 questions twice: loaded by `itemlm.load_recommender` and asked
one question at a time, and over HTTP, once one after another and once sixteen at a time, so that
they share batches. Questions have random histories; some have an allow list, a block list or a
filter. An answer is the same if its items are, in their order."""


@dataclass(frozen=True)
class Asked:
    """A question in both languages: the body of a request, and arguments of `recommend`."""

    body: dict[str, Any]
    query: Any
    filters: dict[str, Any]


@dataclass
class Compared:
    """Answers that differ, the largest distance of scores, and an example of a difference."""

    different: int = 0
    fallbacks: int = 0
    distance: float = 0.0
    example: str = ""


def measure(options: Options) -> Iterator[Row]:
    """All models."""
    import itemlm

    folders = [Path(found) for pattern in options.models for found in sorted(glob.glob(pattern))]
    if options.models and not folders:
        sys.exit(f"there is nothing at {', '.join(options.models)}")
    folders = folders or list(fitted(server.CACHE / "small", options.quick))
    count = 10 if options.quick else QUESTIONS
    figure.to_clients()
    home = server.CACHE / "home-same"
    total = different = 0
    with server.running(folders, home, cores=figure.cores()[0], settings=SETTINGS) as running:
        for folder in folders:
            recommender = itemlm.load_recommender(folder)
            asked = questions_for(recommender, folder.name, count)
            compared = asyncio.run(compare(running.port, recommender, asked))
            total += len(asked) * len(compared)
            different += sum(found.different for found in compared.values())
            yield row(folder.name, recommender.paper, compared, len(asked))
    yield Row(
        "all of them",
        f"{different} of {total:,} answers differ",
        "0 differ",
        different == 0,
        {"different": different, "answers": total},
    )


# A question of a large model may take longer than a service should let anybody wait.
SETTINGS = "[limits]\ntimeout_ms = 120000\nbudget_ms = 120000\n"


def fitted(cache: Path, quick: bool) -> Iterator[Path]:
    """Small models of the demo world."""
    import itemlm

    data = itemlm.world(users=300, items=120).dataset
    for paper in ("itemknn", "sasrec") if quick else SMALL:
        folder = cache / paper
        if not (folder / "manifest.json").exists():
            itemlm.fit(paper, data, quiet=True, **SMALL[paper]).save(folder)
        yield folder


def questions_for(recommender: Any, name: str, count: int) -> list[Asked]:
    """Random ones: a quarter each without rules, with an allow list, a block list, a filter."""
    from itemlm.types import Query

    rng, table = random.Random(0), recommender.catalog.table
    ids = table["item_id"].to_list()
    users = [] if recommender.users is None else recommender.users.ids.to_list()
    expression, condition = a_filter(table)
    made = []
    for place in range(count):
        history = [rng.choice(ids) for _ in range(rng.randint(1, 10))]
        user = rng.choice(users) if users else None
        text = " ".join(str(rng.choice(ids)).split("-")) if recommender.reads_text else None
        body = {"model": name, "history": history, "k": K}
        body |= {} if user is None else {"user_id": user}
        body |= {} if text is None else {"text": text}
        filters: dict[str, Any] = {}
        if place % 4 == 1:
            filters = {"only": rng.sample(ids, min(500, len(ids) // 2))}
            body |= filters
        elif place % 4 == 2:
            filters = {"without": rng.sample(ids, min(500, len(ids) // 2))}
            body |= {"exclude": filters["without"]}
        elif place % 4 == 3 and expression:
            filters = {"only": condition}
            body |= {"filter": expression}
        made.append(Asked(body, Query(history=history, user=user, text=text), filters))
    return made


def a_filter(table: pl.DataFrame) -> tuple[str, pl.Expr | None]:
    """A filter that about half of the items or the most of one kind meet, in both languages."""
    for column, kind in table.schema.items():
        if not column.isidentifier() or column == "item_id":
            continue
        if kind.is_numeric() and table[column].n_unique() > 1:
            middle = float(table[column].drop_nulls().median())  # type: ignore[arg-type]
            return f"{column} < {middle!r}", pl.col(column) < middle
        if kind == pl.String and 1 < table[column].n_unique() < table.height / 2:
            value = table[column].drop_nulls().mode()[0]
            if "'" not in value and "\\" not in value:
                return f"{column} == '{value}'", pl.col(column) == value
    return "", None


async def compare(port: int, recommender: Any, asked: Sequence[Asked]) -> dict[str, Compared]:
    """Answers one at a time and sixteen at a time against those of the model alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = [recommender.recommend(one.query, K, **one.filters) for one in asked]
    connections = [await load.Connection.open(port) for _ in range(AT_ONCE)]
    found = {"one by one": Compared(), f"{AT_ONCE} at once": Compared()}
    for compared, size in zip(found.values(), (1, AT_ONCE), strict=True):
        for start in range(0, len(asked), size):
            some = asked[start : start + size]
            replies = await asyncio.gather(
                *(
                    connection.ask(*questions.post("/v1/recommend", one.body))
                    for connection, one in zip(connections, some, strict=False)
                )
            )
            for reply, one, slate in zip(replies, some, alone[start:], strict=False):
                _compare(reply, one, slate, compared)
    for connection in connections:
        connection.close()
    return found


def _compare(reply: load.Reply, one: Asked, slate: Any, compared: Compared) -> None:
    if reply.status != 200:
        raise RuntimeError(f"{one.body} was answered by {reply.status}: {reply.body[:500]!r}")
    answer = reply.json()
    served = [str(item["item_id"]) for item in answer["items"]]
    compared.fallbacks += answer["fallback"] is not None
    if served != list(map(str, slate.items)):
        compared.different += 1
        compared.example = compared.example or f"{served} instead of {slate.items} for {one.body}"
        return
    distances = [
        abs(item["score"] - score)
        for item, score in zip(answer["items"], slate.scores, strict=True)
        if item["score"] is not None
    ]
    compared.distance = max([compared.distance, *distances])


def row(name: str, paper: str, compared: dict[str, Compared], asked: int) -> Row:
    """One model."""
    told = "; ".join(
        f"{found.different} of {asked} differ {how}, scores by at most {found.distance:.2g}"
        for how, found in compared.items()
    )
    fallbacks = sum(found.fallbacks for found in compared.values())
    values: dict[str, Any] = {"paper": paper, "fallbacks": fallbacks}
    for how, found in compared.items():
        values[how] = {"different": found.different, "scores": found.distance}
        values[how] |= {"example": found.example[:1000]} if found.example else {}
    told += f"; {fallbacks} answered by a fallback" if fallbacks else ""
    met = not any(found.different for found in compared.values())
    return Row(name, told, "0 differ", met, values)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", nargs="*", default=[], help="folders of saved recommenders; may have * in them"
    )


FIGURE = Figure("same_answers", "The same answers", TEXT, measure, _options)

if __name__ == "__main__":
    FIGURE.main()
