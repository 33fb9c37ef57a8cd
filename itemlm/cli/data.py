"""`itemlm data`: what there is, what it looks like, and files of one's own made ready."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli.console import facts, say, show, show_json, table
from itemlm.cli.inputs import open_data
from itemlm.cli.options import (
    ColumnOption,
    DataArgument,
    ItemsOption,
    JsonOption,
    UsersOption,
    public_names,
)

if TYPE_CHECKING:
    from itemlm.data.dataset import Dataset

app = typer.Typer(no_args_is_help=True, help="Datasets: list, describe, prepare and download them.")


class OnError(StrEnum):
    """What to do about bad rows."""

    STOP = "stop"
    DROP = "drop"


@app.command("list")
def list_(json: JsonOption = False) -> None:
    """List the datasets that have a name.

    For example:

    ```
    itemlm data list
    ```
    """
    from itemlm.data import sources

    if json:
        records = [
            {
                "name": source.name,
                "title": source.title,
                "home": source.home,
                "licence": source.licence,
                "releases": {
                    release: dict(zip(("users", "items", "events"), counts, strict=True))
                    for release, counts in source.releases.items()
                },
            }
            for source in sources.TABLE.values()
        ]
        show_json(records)
        return
    listed = table("name", "what", "users", "items", "events", numbers=("users", "items", "events"))
    listed.add_row("demo", "simulated viewers of real films, made in a second")
    for source in sources.TABLE.values():
        newest = list(source.releases.values())[-1]
        listed.add_row(source.name, source.title, *(f"{count:,}" for count in newest))
    show(listed)
    say("Public datasets are downloaded on first use, or read from $ITEMLM_DATA/NAME.")


@app.command()
def describe(
    data: DataArgument,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw how events fall on items; .png or .svg.", metavar="FILE"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Describe a dataset in numbers, and perhaps in a picture.

    For example:

    ```
    itemlm data describe events.csv --items items.csv --plot popularity.png
    ```
    """
    from itemlm.data.statistics import plot_head_tail

    dataset = open_data(data, items, users, column, tell=False)
    if plot is not None:
        plot_head_tail(dataset, plot)
        say(f"The picture is in {plot}.")
    _show_description(dataset, json)


@app.command()
def prepare(
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(help="The folder to write; commands take it as DATA.", metavar="FOLDER")
    ],
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    on_error: Annotated[
        OnError, typer.Option(help="Stop at the first bad row, or drop bad rows and count them.")
    ] = OnError.STOP,
    encoding: Annotated[str, typer.Option(help="Of text files.")] = "utf-8",
    start: Annotated[
        str | None, typer.Option(help="Keep events from this date on.", metavar="DATE")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="Keep events before this date.", metavar="DATE")
    ] = None,
    min_value: Annotated[
        float | None, typer.Option(help="Keep events with this value or a higher one.")
    ] = None,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Keep a user's first event with each item.")
    ] = False,
    k_core: Annotated[
        int | None,
        typer.Option(help="Keep users and items with this many events, until nothing changes."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read and check event files, filter them, and save a folder for all other commands.

    CSV, TSV, JSON lines, Parquet and RecBole files are read, gzipped too. Which columns were taken
    for what is told, and a bad value stops with its line. Filters apply in the order listed here.

    For example:

    ```
    itemlm data prepare events.csv --items items.csv --out mydata
    itemlm data prepare log.tsv --column user_id=customer --on-error drop --out mydata
    itemlm data prepare ml-100k --min-value 4 --k-core 5 --out liked
    ```
    """
    from itemlm.data import filters

    dataset = open_data(
        data, items, users, column, on_error=on_error.value, encoding=encoding, tell=False
    )
    if start is not None or end is not None:
        dataset = filters.time_window(dataset, start, end)
    if min_value is not None:
        dataset = filters.min_value(dataset, min_value)
    if drop_duplicates:
        dataset = filters.drop_duplicates(dataset)
    if k_core is not None:
        dataset = filters.k_core(dataset, k_core, k_core)
    dataset = replace(dataset, name=out.resolve().name)
    dataset.save(out)
    _show_description(dataset, json)
    say(f"Saved in {out}. Next: itemlm compare popularity itemknn --data {out}")


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="See `itemlm data list`.", autocompletion=public_names)
    ],
    json: JsonOption = False,
) -> None:
    """Download a public dataset, check it and describe it.

    Files go to $ITEMLM_CACHE, or else ~/.cache/itemlm. Nothing is fetched that is there already.

    For example:

    ```
    itemlm data download ml-100k
    ```
    """
    from itemlm.data import sources

    _show_description(sources.load(name), json)


def _show_description(dataset: Dataset, json: bool) -> None:
    from itemlm.data.statistics import describe

    for note in dataset.notes:
        say(note)
    found = describe(dataset)
    if json:
        extra = {"fingerprint": dataset.fingerprint, "licence": dataset.licence}
        show_json({**found.to_dict(), **extra, "notes": list(dataset.notes)})
        return
    ties = "unknown, no timestamps" if found.tie_share is None else f"{found.tie_share:.1%}"
    rows = [
        ("name", found.name),
        ("users", f"{found.users:,}"),
        ("items", f"{found.items:,}, of which {found.items_without_events:,} without events"),
        ("events", f"{found.events:,}, which is {found.density:.3%} of all pairs"),
        (
            "events per user",
            f"{found.mean_history:.1f} on average, {found.median_history:g} in the middle, "
            f"{found.max_history:,} at most",
        ),
        ("popular items", f"the top 20% hold {found.head_events_share:.0%} of the events"),
        ("repeated events", f"{found.repeat_share:.1%}"),
        ("tied in time", ties),
    ]
    if found.first_date is not None:
        rows.append(("dates", f"{found.first_date} to {found.last_date}"))
    rows.append(("fingerprint", dataset.fingerprint))
    if dataset.licence:
        rows.append(("licence", dataset.licence))
    show(facts(rows))
