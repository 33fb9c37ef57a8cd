"""Terminal: a report as compact tables. Narrow windows fold `0.0843 ±0.0031` onto two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from itemlm.evaluate.metrics import short_name
from itemlm.evaluate.results import Estimate, Result
from itemlm.evaluate.words import cautions, findings, ranked

if TYPE_CHECKING:
    from itemlm.evaluate.report import Report


def tables(report: Report) -> Group:
    """Headline, slices, then the findings and cautions as sentences."""
    c = report.conditions
    sentences = findings(c, report.results, report.comparisons)
    notes = [Text(f"  • {sentence}") for sentence in sentences]
    notes += [Text(f"  ! {sentence}", style="yellow") for sentence in cautions(c, report.results)]
    legend = (
        "± half a 95% interval over users. *** ** * differs from the baseline at 0.001, 0.01, "
        "0.05 after Holm's correction; n.s. does not."
    )
    return Group(
        Text(
            f"{c.questions:,} {c.part} questions, {c.users:,} users, {c.items:,} items, "
            f"{c.candidates}, history left out\n{c.split}",
            style="dim",
        ),
        _headline(report),
        Text(legend, style="dim"),
        _slices(report),
        *notes,
    )


def _headline(report: Report) -> Table:
    c = report.conditions
    metric = f"NDCG@{c.k}"
    names = [f"{name}@{k}" for k in c.ks for name in ("Recall", "NDCG")]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("model", style="bold", overflow="fold")
    for name in names:
        table.add_column(short_name(name), justify="right")
    if c.baselines:
        table.add_column(f"{short_name(metric)} − {escape(c.baselines[0])}", justify="right")
    if c.oracle:
        table.add_column("of oracle", justify="right")
    for heading in ("coverage", "ms/query", "fit s"):
        table.add_column(heading, justify="right")
    for result in ranked(report.results, c):
        cells = [escape(result.name), *(_figure(result[name]) for name in names)]
        if c.baselines:
            cells.append(_difference(report, result, metric))
        if c.oracle:
            cells.append(f"{result.of_oracle[metric]:.0%}" if result.of_oracle else "–")
        fit = result.cost.fit_seconds
        cells += [
            f"{result.beyond.coverage:.0%}",
            f"{result.timing.latency_ms:.1f}",
            "–" if fit is None else f"{fit:,.1f}",
        ]
        table.add_row(*cells, style="italic dim" if result.name == c.oracle else None)
    return table


def _slices(report: Report) -> Table:
    metric = f"NDCG@{report.conditions.k}"
    results = ranked(report.results, report.conditions)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title=f"{metric} by slice",
        title_justify="left",
        title_style="dim",
    )
    table.add_column("slice", overflow="fold")
    table.add_column("questions", justify="right")
    for result in results:
        table.add_column(escape(result.name), justify="right")
    for place, part in enumerate(results[0].slices):
        figures = [_figure(result.slices[place].metrics[metric]) for result in results]
        table.add_row(f"{part.name} {part.family.split()[0]}", f"{part.questions:,}", *figures)
    return table


def _figure(estimate: Estimate) -> str:
    return f"{estimate.mean:.4f} [dim]±{estimate.half_width:.4f}[/dim]"


def _difference(report: Report, result: Result, metric: str) -> str:
    if result.name == report.conditions.baselines[0]:
        return "[dim]baseline[/dim]"
    comparison = report.comparison(result.name, metric)
    if comparison is None:
        return "–"
    return f"{comparison.difference.mean:+.4f} {comparison.stars}"
