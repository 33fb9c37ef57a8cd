"""`itemlm fit`: learn from data, and keep the recommender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli.console import facts, say, show
from itemlm.cli.inputs import open_data, settings_of
from itemlm.cli.options import (
    ColumnOption,
    DataOption,
    DeviceOption,
    ItemsOption,
    SetOption,
    Split,
    Ties,
    TiesOption,
    UsersOption,
    paper_names,
)
from itemlm.cli.root import resumable

if TYPE_CHECKING:
    from itemlm.recommender import Recommender


def fit(
    paper: Annotated[str, typer.Argument(help="See `itemlm papers`.", autocompletion=paper_names)],
    data: DataOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Keeps the run and the recommender.",
            metavar="FOLDER",
            show_default="runs/PAPER-DATA-seedN",
        ),
    ] = None,
    settings: SetOption = None,
    protocol: Annotated[
        Split | None,
        typer.Option(
            help="Learn from the training part of this split only, so that `itemlm evaluate` can "
            "ask about the rest.",
            show_default="everything is learned from",
        ),
    ] = None,
    ties: TiesOption = Ties.SHUFFLE,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="When the best number of epochs is known, train again on the validation events "
            "too.",
        ),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Fit a paper to a dataset and save the recommender.

    If it is interrupted, the same command goes on where it ended.

    For example:

    ```
    itemlm fit sasrec --data demo
    itemlm fit itemknn --data mydata --set window=5 --out runs/near
    ```
    """
    import itemlm
    from itemlm import papers
    from itemlm.fitting import configured

    configured(papers.get(paper), None, settings_of(settings))  # refused before data are read
    dataset, validation = open_data(data, items, users, column), None
    if protocol is not None:
        dataset, validation, _ = dataset.split(protocol.protocol(ties))
    folder = out or Path("runs") / f"{paper}-{dataset.name}-seed{seed}"
    if (folder / "run.json").exists():
        say(f"{folder} holds this run already: going on where it ended.")
    with resumable(folder):
        recommender = itemlm.fit(
            paper,
            dataset,
            validation=validation,
            folder=folder,
            seed=seed,
            device=device,
            refit=refit,
            **settings_of(settings),
        )
    show(facts(_made(recommender, folder)))
    example = recommender.catalog.items.ids[0]
    say(f"Next: itemlm recommend {folder} --history {example}")


def _made(recommender: Recommender, folder: Path) -> list[tuple[str, str]]:
    card = recommender.card
    rows = [
        ("recommender", f"{recommender.paper}, {recommender.parameters:,} numbers learned"),
        ("data", f"{card['data']} ({card['data fingerprint']})"),
        ("seconds", f"{card['fit seconds']:,.1f}"),
    ]
    scored = [record for record in card["history"] if "validation NDCG@10" in record]
    if scored:
        best = max(scored, key=lambda record: record["validation NDCG@10"])
        score = f"{best['validation NDCG@10']:.4f}"
        rows.append(("best epoch", f"{best['epoch']}, validation NDCG@10 {score}"))
    return [*rows, ("saved in", str(folder))]
