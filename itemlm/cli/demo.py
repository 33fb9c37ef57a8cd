"""`itemlm demo`: from nothing to a report, in minutes, with data whose best answer is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from itemlm.cli.console import say, show, table, warn
from itemlm.cli.inputs import titles
from itemlm.cli.options import paper_names
from itemlm.cli.root import resumable

if TYPE_CHECKING:
    from itemlm.data.world import World
    from itemlm.types import ItemId, TopK

MODELS = ("popularity", "itemknn", "sasrec", "tiger")

# Chosen on this world, and small enough for a laptop: under three minutes on two cores.
USERS = 6000
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sasrec": {
        "length": 30,
        "dropout": 0.2,
        "epochs": 12,
        "patience": 3,
        "batch_size": 64,
        "learning_rate": 3e-3,
    },
    "tiger": {
        "levels": 2,
        "codes": 32,
        "length": 12,
        "width": 64,
        "blocks": 2,
        "head_width": 32,
        "inner": 128,
        "dropout": 0.1,
        "beams": 20,
        "epochs": 8,
        "validation_questions": 500,
        "batch_size": 64,
        "learning_rate": 6e-3,
    },
}
# Seconds, to see that everything works; too little data and training to judge models by.
QUICK_USERS = 300
QUICK_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sasrec": {"width": 32, "blocks": 1, "inner": 64, "epochs": 3},
    "tiger": {
        "codes": 16,
        "width": 32,
        "blocks": 1,
        "heads": 1,
        "head_width": 32,
        "inner": 64,
        "beams": 10,
        "epochs": 2,
        "validation_questions": 100,
    },
}


def demo(
    folder: Annotated[
        Path, typer.Option(help="For the report and the fitted models.", metavar="FOLDER")
    ] = Path("demo-report"),
    users: Annotated[
        int | None, typer.Option(min=3, help="Simulated viewers.", show_default=f"{USERS}")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each model that is random.")] = 1,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Papers to fit. Repeatable.",
            show_default=", ".join(MODELS),
            autocompletion=paper_names,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help=f"Seconds, not minutes: {QUICK_USERS} viewers, tiny models."),
    ] = False,
) -> None:
    """Simulate viewers of real films, fit four models and compare them with the best possible.

    For example:

    ```
    itemlm demo
    itemlm demo --quick --models itemknn --models sasrec
    ```
    """
    import itemlm

    world = itemlm.world(users or (QUICK_USERS if quick else USERS))
    _introduce(world)
    names = _fittable(models or MODELS)
    of_models = QUICK_SETTINGS if quick else SETTINGS
    settings = {name: of_models[name] for name in names if name in of_models}
    _forget_other_demo(folder, {"data": world.dataset.fingerprint, "settings": settings})
    with resumable(folder):
        report = itemlm.compare(
            names,
            world.dataset,
            seeds=seeds,
            settings=settings,
            oracle=world.oracle,
            folder=folder,
            say=say,
        )
    show(report.table())
    fitted: dict[str, TopK] = {
        name: itemlm.load_recommender(folder / "runs" / f"{name}-seed0") for name in names
    }
    served = " ".join(f"{folder}/runs/{name}-seed0" for name in names[-2:])
    history = _show_viewer(world, {**fitted, "oracle": world.oracle})
    show(
        f"\n[bold]The whole report[/bold]  {folder / 'report.html'}"
        f"\n[bold]Ask a model[/bold]       itemlm recommend {folder}/runs/{names[-1]}-seed0 "
        f"--history {','.join(map(str, history[-2:]))}"
        f"\n[bold]In a browser[/bold]      itemlm serve {served} --data demo"
        "\n[bold]With your data[/bold]    itemlm data prepare events.csv --items items.csv "
        "--out mydata"
        f"\n                  itemlm compare {' '.join(names)} --data mydata"
    )


def _introduce(world: World) -> None:
    from itemlm.data.statistics import describe

    found = describe(world.dataset)
    show(
        f"[bold]A world of films.[/bold] {found.users:,} simulated viewers choose {found.events:,} "
        f"times among {found.items:,} real films.\n"
        f"Half of them have seen {found.median_history:g} films or fewer, the most eager "
        f"{found.max_history}; they follow series, moods and a taste that drifts.\n"
        "We wrote the law by which they choose, so the best possible answers, the oracle's, are "
        "known. Everyone is asked for the last film of every viewer."
    )


def _fittable(names: Sequence[str]) -> list[str]:
    """The papers that can be fitted here; what is missing for the others is told."""
    from itemlm.cli.paper_source import read
    from itemlm.types import MissingExtra

    needing = [name for name in names if read(name).needs_torch and find_spec("torch") is None]
    left = [name for name in names if name not in needing]
    if needing:
        missing = MissingExtra(" and ".join(needing), "torch")
        if not left:
            raise missing
        warn(str(missing))
    return left


def _forget_other_demo(folder: Path, made_of: Mapping[str, Any]) -> None:
    """Remove the runs of an earlier demo in this folder, unless they are of this very demo."""
    note, words = folder / "demo.json", json.dumps(made_of, indent=1)
    if note.exists() and note.read_text(encoding="utf-8") != words:
        shutil.rmtree(folder / "runs", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(words, encoding="utf-8")


def _show_viewer(world: World, models: Mapping[str, TopK]) -> list[ItemId]:
    """What one viewer watched, and what everyone would have shown next; returns the history."""
    from itemlm.data.splits import LeaveOneOut

    dataset = world.dataset
    test = dataset.split(LeaveOneOut()).test
    question = replace(test.queries[0:1], exclude_seen=True)
    viewer = dataset.users.ids_of(question.user_rows)[0]
    answer = int(test.target_rows[0])
    watched, (then,) = (
        titles(dataset.catalog, rows) for rows in (question.item_rows[-5:], test.target_rows[:1])
    )
    show(f"[bold]{viewer} watched last[/bold]  {escape(' → '.join(watched))}")
    show(f"[bold]and then[/bold]  {escape(then)}\n")
    listed = table("would have shown", *"12345")
    for name, model in models.items():
        rows_K = model.topk(question, 5)[0][0]
        rows_K = rows_K[rows_K >= 0]
        shown = zip(rows_K, titles(dataset.catalog, rows_K), strict=True)
        cells = [
            f"[bold green]✓ {escape(title)}[/]" if row == answer else escape(title)
            for row, title in shown
        ]
        listed.add_row(name, *cells)
    show(listed)
    return dataset.items.ids_of(question.item_rows)
