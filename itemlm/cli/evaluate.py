"""`itemlm evaluate` and `itemlm compare`: the same questions for everyone, and one report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli.console import say, show, show_json, warn
from itemlm.cli.inputs import open_data, oracle_of, settings_by_model
from itemlm.cli.options import (
    ColumnOption,
    DataOption,
    DeviceOption,
    ItemsOption,
    JsonOption,
    ProtocolOption,
    SetOption,
    Split,
    Ties,
    TiesOption,
    UsersOption,
    paper_names,
)
from itemlm.cli.root import resumable

if TYPE_CHECKING:
    from itemlm.data.dataset import Dataset
    from itemlm.recommender import Recommender


class Part(StrEnum):
    """Which questions are asked."""

    TEST = "test"
    VALIDATION = "validation"


def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Saved recommenders or runs.")
    ],
    data: DataOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    protocol: ProtocolOption = Split.LEAVE_ONE_OUT,
    ties: TiesOption = Ties.SHUFFLE,
    part: Annotated[
        Part, typer.Option(help="Choose settings by validation; report test once.")
    ] = Part.TEST,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as a page.", metavar="FILE")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Evaluate saved recommenders on held-out questions.

    Fit them with the same --protocol; otherwise they have seen the answers, and a warning says so.

    For example:

    ```
    itemlm fit sasrec --data demo --protocol leave-one-out --out runs/sasrec
    itemlm evaluate runs/sasrec --data demo --html report.html
    ```
    """
    import itemlm
    from itemlm.comparison import cost_of

    dataset = open_data(data, items, users, column)
    split = dataset.split(protocol.protocol(ties))
    recommenders = {}
    for name, folder in _names(folders).items():
        recommender = itemlm.load_recommender(folder)
        check_catalog(name, recommender, dataset)
        fitted_to = recommender.card.get("data fingerprint")
        if fitted_to != split.train.fingerprint:
            warn(
                f"'{name}' may have seen the answers, so its figures may be too good: it was "
                f"fitted to data with fingerprint {fitted_to}, not to the training part of this "
                f"split ({split.train.fingerprint}). Fit it with --protocol {protocol.value}."
            )
        recommenders[name] = recommender
    oracle = oracle_of(data)
    report = itemlm.evaluate(
        {**recommenders, **({"oracle": oracle} if oracle else {})},
        split.test if part is Part.TEST else split.validation,
        catalog=dataset.catalog,
        oracle="oracle" if oracle else None,
        costs={name: cost_of(recommender) for name, recommender in recommenders.items()},
    )
    if html is not None:
        histories = {name: r.card.get("history") for name, r in recommenders.items()}
        curves = {name: history for name, history in histories.items() if history}
        report.to_html(html, title=dataset.name, curves=curves)
        say(f"The page is in {html}.")
    show_json(report.to_dict()) if json else show(report.table())


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PAPER...",
            help="Papers. sasrec:published takes the authors' settings; sasrec:wide those of "
            "--set sasrec:wide.width=128.",
            autocompletion=paper_names,
        ),
    ],
    data: DataOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    protocol: ProtocolOption = Split.LEAVE_ONE_OUT,
    ties: TiesOption = Ties.SHUFFLE,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each paper that is random.")] = 1,
    settings: SetOption = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Keeps every run, report.json and report.html.",
            metavar="FOLDER",
            show_default="reports/DATA-PROTOCOL",
        ),
    ] = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Fit papers on one training part and compare them on the same questions.

    If it is interrupted, the same command goes on where it ended.

    For example:

    ```
    itemlm compare popularity itemknn sasrec --data demo
    itemlm compare sasrec tiger --data mydata --seeds 3 --set sasrec.width=128
    ```
    """
    import itemlm

    dataset = open_data(data, items, users, column)
    order = "" if ties is Ties.SHUFFLE else f"-{ties.value}"
    folder = folder or Path("reports") / f"{dataset.name}-{protocol.value}{order}"
    with resumable(folder):
        report = itemlm.compare(
            names,
            dataset,
            protocol=protocol.protocol(ties),
            seeds=seeds,
            settings=settings_by_model(settings, names),
            oracle=oracle_of(data),
            folder=folder,
            device=device,
            say=say,
        )
    say(f"Everything is in {folder}; open {folder / 'report.html'}")
    show_json(report.to_dict()) if json else show(report.table())


def _names(folders: list[Path]) -> dict[str, Path]:
    """Saved recommenders by the name of their folder, or by their path where names coincide."""
    short = [folder.resolve().name for folder in folders]
    return {
        name if short.count(name) == 1 else str(folder): folder
        for name, folder in zip(short, folders, strict=True)
    }


def check_catalog(name: str, recommender: Recommender, dataset: Dataset) -> None:
    """Refuse a recommender of other items.

    Raises:
        DataError: naming both.
    """
    from itemlm.types import DataError

    known, asked = recommender.catalog.items.ids, dataset.items.ids
    if known.dtype != asked.dtype or not known.equals(asked):
        raise DataError(
            f"'{name}' knows another catalog ({len(known):,} items) than '{dataset.name}' "
            f"({len(asked):,} items), so it cannot be asked about it. Evaluate it on the data that "
            f"it was fitted to ('{recommender.card.get('data')}')."
        )
