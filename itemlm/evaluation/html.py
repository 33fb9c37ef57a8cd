"""HTML: a report as one self-contained page.

No script, no font, no picture comes from elsewhere: the page can be mailed, kept beside a paper and
opened years later. The words and the layout are in `templates/report.html`.
"""

from __future__ import annotations

from pathlib import Path

from itemlm.evaluation.metrics import METRICS
from itemlm.evaluation.plots import VARIABLES, can_draw, colors, plots
from itemlm.evaluation.report import Curves, Report
from itemlm.evaluation.words import cautions, findings, p_words, protocol, ranked, signed

TEMPLATES = Path(__file__).parent / "templates"


def page(report: Report, title: str, curves: Curves) -> str:
    """The page's text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        decimal=lambda value: "–" if value is None else f"{value:.4f}",
        two=lambda value: "–" if value is None else f"{value:.2f}",
        signed=signed,
        percent=lambda value: "–" if value is None else f"{value:.0%}",
        count=lambda value: "–" if value is None else f"{value:,}",
        seconds=_seconds,
        p=p_words,
    )
    c = report.conditions
    results = ranked(report.results, c)
    pictures = plots(report, curves) if can_draw() else {}
    return environment.get_template("report.html").render(
        title=title,
        report=report,
        c=c,
        results=results,
        colors=_color_names(report),
        headline=[f"{name}@{k}" for k in c.ks for name in ("Recall", "NDCG")],
        metric=f"NDCG@{c.k}",
        metrics=[f"{name}@{k}" for k in c.ks for name in METRICS],
        best=_best(report),
        plots={name: Markup(svg) for name, svg in pictures.items()},
        drawn=can_draw(),
        findings=findings(c, report.results, report.comparisons),
        cautions=cautions(c, report.results),
        protocol=protocol(c),
    )


def _best(report: Report) -> dict[str, float]:
    """The highest mean of every metric, the oracle aside."""
    contestants = [r for r in report.results if r.name != report.conditions.oracle]
    names = report.results[0].metrics
    return {name: max((r[name].mean for r in contestants), default=-1.0) for name in names}


def _color_names(report: Report) -> dict[str, str]:
    """The CSS variable of each recommender's color."""
    return {name: VARIABLES[color] for name, color in colors(report).items()}


def _seconds(value: float | None) -> str:
    """`2.5 s`, `64 s`, `15 min`, `3.2 h`."""
    if value is None:
        return "–"
    if value < 0.1:
        return "< 0.1 s"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
