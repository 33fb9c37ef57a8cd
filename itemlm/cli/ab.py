"""`itemlm ab`: two models or groups side by side, in what a service logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from itemlm.cli.console import say, show, show_json, table, warn
from itemlm.cli.options import JsonOption

if TYPE_CHECKING:
    import polars as pl

    from itemlm.evaluation.results import Estimate
    from itemlm.policy.comparison import GroupComparison
    from itemlm.policy.replay import Replay
    from itemlm.recommender import Recommender
    from itemlm.serve.store import Store

ASKED_AT_A_TIME = 512


def ab(
    store: Annotated[
        str, typer.Argument(help="The service's database: a SQLite file or postgresql://...")
    ],
    a: Annotated[
        str | None, typer.Option("--a", metavar="NAME", help="What one has: a model or a group.")
    ] = None,
    b: Annotated[
        str | None, typer.Option("--b", metavar="NAME", help="What it is compared with.")
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare groups of this experiment, not models."),
    ] = None,
    planned: Annotated[
        str | None,
        typer.Option(
            metavar="A:B",
            help="How people were to be shared, as in 90:10; 50:50 for an experiment.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Events that count as a click; repeatable. Click and view if not given."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only what was shown from this day on, UTC."),
    ] = None,
    model_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also estimate what this saved recommender would have earned, from slates that "
            "were logged with propensities.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two models, or two groups of an experiment, by what people did.

    Differences come with an interval over people, and with a p-value. Without names, the log must
    hold two models (or the experiment two groups); differences are the second minus the first.

    For example:

    ```
    itemlm ab service.db --a sasrec --b tiger --kind click
    itemlm ab service.db --experiment front-page --planned 90:10 --since 2026-01-01
    itemlm ab service.db --model-folder runs/tiger
    ```
    """
    from itemlm.policy.outcomes import CLICKS
    from itemlm.types import DataError

    if (a is None) != (b is None):
        raise typer.BadParameter("--a and --b go together.")
    shares = _shares(planned, experiment)
    clicks = tuple(kind or CLICKS)
    found: dict[str, Any] = {}
    with closing(_opened(store)) as opened:
        moment = None if since is None else int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000
        shown, outcomes = opened.shown(moment), opened.outcomes(moment)
        if shown.is_empty():
            when = "" if since is None else f" since {since:%Y-%m-%d}"
            raise DataError(f"{store} holds no slate that was shown{when}.")
        if model_folder is None or a is not None or experiment is not None:
            found |= _compared(shown, outcomes, a, b, experiment, shares, clicks, json)
        if model_folder is not None:
            found |= _replayed(opened, shown, outcomes, model_folder, clicks, json)
    if json:
        show_json(found)


def _opened(url: str) -> Store:
    """A store that is there; a missing file is not made."""
    from itemlm.serve.store import open_store
    from itemlm.types import DataError

    path = url.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).is_file():
        raise DataError(f"there is no file {path}. Name the database that the service writes.")
    return open_store(url)


def _shares(planned: str | None, experiment: str | None) -> tuple[float, float] | None:
    """`90:10` as numbers."""
    from itemlm.types import ConfigError

    if planned is None:
        return None if experiment is None else (1.0, 1.0)
    try:
        share_a, share_b = map(float, planned.split(":"))
    except ValueError as error:
        raise ConfigError(f"'{planned}' is not a pair of shares; write it as 90:10.") from error
    return share_a, share_b


def _compared(
    shown: pl.DataFrame,
    outcomes: pl.DataFrame,
    a: str | None,
    b: str | None,
    experiment: str | None,
    shares: tuple[float, float] | None,
    clicks: Sequence[str],
    json: bool,
) -> dict[str, Any]:
    """The comparison, printed, or as plain values."""
    from itemlm.evaluation.results import as_plain
    from itemlm.policy.comparison import compare_groups
    from itemlm.policy.words import cautions, findings

    by: Literal["group", "model"] = "model" if experiment is None else "group"
    if a is None or b is None:
        a, b = _two_names(shown, by, experiment)
    comparison = compare_groups(
        *(shown, outcomes, a, b), by=by, experiment=experiment, planned=shares, clicks=clicks
    )
    found, warned = findings(comparison), cautions(comparison)
    if not json:
        _show_comparison(comparison)
        for sentence in found:
            show(f"• {escape(sentence)}")
        for sentence in warned:
            show(f"[yellow]! {escape(sentence)}[/yellow]")
    return {"comparison": {**as_plain(comparison), "findings": found, "cautions": warned}}


def _two_names(shown: pl.DataFrame, by: str, experiment: str | None) -> tuple[str, str]:
    """The two models of a log, or groups of an experiment, in the order of their names."""
    from itemlm.types import ConfigError, UnknownName

    where = "the log"
    if experiment is not None:
        where = f"experiment '{experiment}'"
        known = shown["experiment"].drop_nulls().unique().to_list()
        if experiment not in known:
            raise UnknownName("experiment in this log", experiment, known)
        shown = shown.filter(shown["experiment"] == experiment)
    names = shown[by].drop_nulls().unique().sort().to_list()
    if len(names) != 2:
        raise ConfigError(
            f"{where} has {len(names)} {by}s ({', '.join(names)}). Name two by --a and --b."
        )
    return names[0], names[1]


def _show_comparison(comparison: GroupComparison) -> None:
    from itemlm.policy.words import change, figure

    a, b = comparison.a, comparison.b
    headings = (escape(a.name), escape(b.name), "difference", "p")
    made = table("", *headings, numbers=headings)
    for name in ("slates", "people", "clicks"):
        made.add_row(name, f"{getattr(a, name):,}", f"{getattr(b, name):,}", "", "")
    for metric, difference in comparison.differences.items():
        if comparison.scored(metric):
            sides = [figure(metric, side.metrics[metric]) for side in (a, b)]
            p_value = "<0.001" if difference.p_holm < 0.001 else f"{difference.p_holm:.3f}"
            made.add_row(metric, *sides, escape(change(metric, difference.estimate)), p_value)
    show(made)
    show(
        "[dim]±: half a 95% interval over people. p: by letting people change groups, after Holm's "
        "correction.[/dim]"
    )


def _replayed(
    store: Store,
    shown: pl.DataFrame,
    outcomes: pl.DataFrame,
    folder: Path,
    clicks: Sequence[str],
    json: bool,
) -> dict[str, Any]:
    """What a saved recommender would have earned, printed, or as plain values."""
    import itemlm
    from itemlm.evaluation.results import as_plain
    from itemlm.policy.outcomes import item_results
    from itemlm.policy.replay import replay

    recommender = itemlm.load_recommender(folder)
    items = item_results(shown, outcomes, clicks=clicks)
    asked = items.filter(items["propensity"] < 1)["recommendation_id"]
    depth = max(items["place"].to_list(), default=1)
    rankings = dict(_rankings(store, recommender, asked.unique(maintain_order=True), depth))
    found = replay(items, rankings)
    if not json:
        _show_replay(folder.name, found)
    return {"other_model": {"folder": str(folder), **as_plain(found)}}


def _rankings(
    store: Store, recommender: Recommender, asked: pl.Series, depth: int
) -> Iterator[tuple[str, list[str]]]:
    """What a recommender answers to the histories of logged slates; forgotten ones are skipped."""
    from itemlm.types import Query

    known = recommender.catalog.items
    for first in range(0, len(asked), ASKED_AT_A_TIME):
        part = [store.recommendation(name) for name in asked[first : first + ASKED_AT_A_TIME]]
        logged = [found for found in part if found is not None]
        rows = [known.rows(found.history) for found in logged]
        queries = [Query(history=known.ids_of(row[row >= 0])) for row in rows]
        for found, slate in zip(logged, recommender.recommend(queries, depth), strict=True):
            yield found.recommendation_id, [str(item) for item in slate.items]


def _show_replay(name: str, found: Replay) -> None:
    columns = ("clicks per place", "effective places")
    made = table("", *columns, numbers=columns)
    made.add_row("as logged", _percent(found.logged.reward), f"{found.logged.places:,}")
    for method, estimate in found.estimates.items():
        effective = f"{estimate.effective:,.0f}"
        made.add_row(escape(f"{name}, {method}"), _percent(estimate.reward), effective)
    show(made)
    say(
        f"{name} would have filled {found.agreement:.1%} of the places with the item that was "
        "logged. Assumed: it is asked with the same history and filters, each place is filled "
        "after those above it as logged, and neighbors do not matter."
    )
    weight = found.estimates["IPS"].mean_weight
    if not weight.low <= 1 <= weight.high:
        warn(
            f"the weights have the mean {weight.mean:.2f} [{weight.low:.2f}, {weight.high:.2f}], "
            "not 1: the log could not show all that this model would, or the propensities are "
            "off. IPS is biased, and SNIPS speaks for the rest only."
        )
    if found.estimates["IPS"].clipped:
        warn(f"{found.estimates['IPS'].clipped:.1%} of the weights were cut, a bias downwards.")


def _percent(estimate: Estimate) -> str:
    return f"{estimate.mean:.2%} [dim]{estimate.low:.2%} – {estimate.high:.2%}[/dim]"
