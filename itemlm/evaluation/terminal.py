"""Terminal: a report as compact tables. Narrow windows fold `.0843 ±.0031` onto two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from itemlm.evaluation.metrics import short_name
from itemlm.evaluation.results import Estimate, Result
from itemlm.evaluation.words import cautions, findings, ranked, signed

if TYPE_CHECKING:
    from itemlm.evaluation.report import Report


def tables(report: Report) -> Group:
    """Headline, slices, then the findings and cautions as sentences."""
    c = report.conditions
    metric = short_name(f"NDCG@{c.k}")
    legend = "±: half a 95% interval over users."
    if c.baselines:
        legend += (
            f" Δ: {metric} minus that of {c.baselines[0]}; *** ** * p < 0.001, 0.01, 0.05 after "
            "Holm's correction, n.s. not told apart."
        )
    if c.oracle:
        legend += f" Best: share of the {metric} of {c.oracle}."
    return Group(
        Text(
            f"{c.questions:,} {c.part} questions of {c.users:,} users, {c.candidates} of "
            f"{c.items:,} items, history left out\nSplit: {c.split}"
        ),
        _headline(report),
        Text(legend, style="dim"),
        _slices(report),
        *(_point("•", sentence) for sentence in findings(c, report.results, report.comparisons)),
        *(_point("!", sentence, "yellow") for sentence in cautions(c, report.results)),
    )


def _headline(report: Report) -> Table:
    c = report.conditions
    names = [f"{name}@{k}" for k in c.ks for name in ("Recall", "NDCG")]
    headings = [short_name(name) for name in names]
    headings += ["Δ"] * bool(c.baselines) + ["best"] * bool(c.oracle) + ["cover", "ms", "fit s"]
    table = _table("model", headings)
    for result in ranked(report.results, c):
        cells = [escape(result.name), *(_figure(result[name]) for name in names)]
        if c.baselines:
            cells.append(_difference(report, result))
        if c.oracle:
            cells.append(f"{result.of_oracle[f'NDCG@{c.k}']:.0%}" if result.of_oracle else "–")
        cells += [
            f"{result.beyond.coverage:.0%}",
            f"{result.timing.latency_ms:.2g}",
            _seconds(result.cost.fit_seconds),
        ]
        table.add_row(*cells, style="italic dim" if result.name == c.oracle else None)
    return table


def _slices(report: Report) -> Table:
    metric = f"NDCG@{report.conditions.k}"
    results = ranked(report.results, report.conditions)
    table = _table(f"{short_name(metric)} of", ["n", *(result.name for result in results)])
    for place, part in enumerate(results[0].slices):
        figures = [_figure(result.slices[place].metrics[metric]) for result in results]
        table.add_row(part.name, f"{part.questions:,}", *figures)
    return table


def _table(first: str, headings: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column(first, style="bold", overflow="fold")
    for heading in headings:
        table.add_column(escape(heading), justify="right", overflow="fold")
    return table


def _point(mark: str, sentence: str, style: str = "") -> Table:
    """A sentence with a hanging mark."""
    line = Table.grid(padding=(0, 1))
    line.add_row(Text(mark, style), Text(sentence, style))
    return line


def _figure(estimate: Estimate) -> str:
    return f"{_short(estimate.mean)} [dim]±{_short(estimate.half_width)}[/dim]"


def _short(value: float) -> str:
    """`.0843`; `1.0000` keeps its one."""
    return f"{value:.4f}".removeprefix("0")


def _difference(report: Report, result: Result) -> str:
    if result.name == report.conditions.baselines[0]:
        return "–"
    comparison = report.comparison(result.name, f"NDCG@{report.conditions.k}")
    if comparison is None:
        return "–"
    sign, figure = signed(comparison.difference.mean)[0], abs(comparison.difference.mean)
    return f"{sign}{_short(figure)} {comparison.stars}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 0.1:
        return "<0.1"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
