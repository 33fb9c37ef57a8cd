"""Plots: a report's pictures as SVG text that lives inside an HTML page.

Everything is drawn in stand-in colors that become CSS variables (`--ink`, `--s1`, ...), so that one
picture serves light and dark screens. Text stays text, so that it can be read aloud, searched and
set in the page's typeface.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from io import StringIO
from typing import Any

from itemlm.evaluation.report import Curves, Report
from itemlm.evaluation.results import Estimate, Result
from itemlm.evaluation.words import ranked, signed

INK, MUTED, LINE, SURFACE = "#010101", "#020202", "#030303", "#040404"
SERIES = tuple(f"#1000{number:02x}" for number in range(1, 9))
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", SURFACE: "surface"} | {
    color: f"s{number}" for number, color in enumerate(SERIES, start=1)
}
WIDTH, ROW = 5.4, 0.36  # inches
LABEL_PLACES = [(right, up) for up in (0, 11, -11, 22) for right in (7, -7)]  # points
SMALLEST = 1e-3  # below it, a logarithmic axis ends
MOST_IN_SLICES = 6  # recommenders in one picture before it gets too dense to read
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def plots(report: Report, curves: Curves) -> dict[str, str]:
    """SVG by name. A picture that the report has no figures for is left out."""
    figures: tuple[tuple[str, str, bool, Callable[[Result], float | None]], ...] = (
        ("lift", "popularity lift", False, lambda r: r.beyond.popularity_lift),
        ("coverage", "coverage of the catalog", False, lambda r: r.beyond.coverage),
        ("latency", "milliseconds for one question", True, lambda r: r.timing.latency_ms),
        ("fit", "seconds to fit", True, lambda r: r.cost.fit_seconds),
    )
    drawings: dict[str, Callable[[Any], None]] = {"forest": partial(_forest, report=report)}
    if report.comparisons:
        drawings["differences"] = partial(_differences, report=report)
    drawings["slices"] = partial(_slices, report=report)
    for name, label, log, figure_of in figures:
        values = {r.name: figure_of(r) for r in report.results}
        known = {key: value for key, value in values.items() if value is not None}
        if len(known) > 1:
            drawings[name] = partial(_scatter, report=report, values=known, label=label, log=log)
    for name, key in (("loss", "loss"), ("validation", "validation NDCG@10")):
        if any(key in record for records in curves.values() for record in records):
            drawings[name] = partial(_curves, report=report, curves=curves, key=key)
    return {name: _draw(name, drawing) for name, drawing in drawings.items()}


def can_draw() -> bool:
    """Whether Matplotlib, the extra `plots`, is installed."""
    return find_spec("matplotlib") is not None


def colors(report: Report) -> dict[str, str]:
    """One color per recommender, the same in every picture; the oracle has the text's."""
    contestants = [r.name for r in ranked(report.results, report.conditions)]
    contestants = [name for name in contestants if name != report.conditions.oracle]
    found = {name: SERIES[place % len(SERIES)] for place, name in enumerate(contestants)}
    return found | ({report.conditions.oracle: INK} if report.conditions.oracle else {})


def _draw(name: str, draw: Callable[[Any], None]) -> str:
    """Run a drawing function on an empty figure and return its SVG, ready to be put in a page."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, 3), layout="constrained")
        draw(figure)
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', svg, count=1)
    # Ids must be unique in the page; the typeface is the page's.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    return svg


def _forest(figure: Any, report: Report) -> None:
    """One row per recommender: mean, interval, and a small dot for every seed."""
    metric = f"NDCG@{report.conditions.k}"
    results = ranked(report.results, report.conditions)
    axes = _rows(figure, [result.name for result in results])
    for row, result in enumerate(results):
        estimate, color = result[metric], colors(report)[result.name]
        _interval(axes, row, estimate, color)
        if result.seeds > 1:
            seeds = result.by_seed[metric]
            axes.scatter(seeds, [row + 0.28] * len(seeds), s=5, color=color, linewidths=0)
        _note(axes, row, f"{estimate.mean:.4f}")
    _from_zero(axes)
    axes.set_xlabel(metric)


def _differences(figure: Any, report: Report) -> None:
    """Everyone minus the first baseline; hollow where chance is explanation enough."""
    metric, baseline = f"NDCG@{report.conditions.k}", report.conditions.baselines[0]
    results = ranked(report.results, report.conditions)
    names = [result.name for result in results if result.name != report.conditions.oracle]
    axes = _rows(figure, names)
    axes.axvline(0, color=MUTED, linewidth=1)
    for row, name in enumerate(names):
        c = report.comparison(name, metric)
        if c is None:
            _note(axes, row, "baseline")
        else:
            _interval(axes, row, c.difference, colors(report)[name], hollow=c.stars == "n.s.")
            _note(axes, row, f"{signed(c.difference.mean)} {c.stars}")
    axes.set_xlabel(f"{metric} minus that of {baseline}")


def _slices(figure: Any, report: Report) -> None:
    """One band per slice with the recommenders one below the other."""
    metric = f"NDCG@{report.conditions.k}"
    results = _most_telling(report)
    parts = results[0].slices
    axes = _rows(figure, [f"{p.name}\nn = {p.questions:,}" for p in parts], height=0.62)
    step = 0.72 / max(len(results), 2)
    for place, result in enumerate(results):
        color = colors(report)[result.name]
        for row, part in enumerate(result.slices):
            shifted = row + (place - (len(results) - 1) / 2) * step
            _interval(axes, shifted, part.metrics[metric], color, size=3.2)
        axes.plot([], [], "o", color=color, markersize=4, label=result.name)
    for row in range(1, len(parts)):
        new_family = parts[row].family != parts[row - 1].family
        axes.axhline(row - 0.5, color=MUTED if new_family else LINE, linewidth=0.8)
    _from_zero(axes)
    axes.set_xlabel(metric)
    figure.legend(loc="outside upper center", ncols=3, handletextpad=0.2, columnspacing=1.2)


def _most_telling(report: Report) -> list[Result]:
    """The oracle, the first baseline and the best of the others, as many as fit in a picture."""
    results = ranked(report.results, report.conditions)
    always = (report.conditions.oracle, *report.conditions.baselines[:1])
    chosen = sorted(results, key=lambda result: result.name not in always)[:MOST_IN_SLICES]
    return ranked(chosen, report.conditions)


def _scatter(
    figure: Any, report: Report, values: Mapping[str, float], label: str, log: bool
) -> None:
    """NDCG against another figure, every point with its name beside it."""
    from matplotlib.ticker import LogLocator

    metric = f"NDCG@{report.conditions.k}"
    figure.set_size_inches(WIDTH, 3.4)
    axes = _plain(figure)
    if log:
        few = max(values.values()) < 100 * max(min(values.values()), SMALLEST)
        axes.set_xscale("log", subs=[])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
    if label == "popularity lift":
        axes.axvline(1, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    points = [
        (max(value, SMALLEST), report[name][metric].mean, name) for name, value in values.items()
    ]
    for x, y, name in points:
        axes.plot(x, y, "o", color=colors(report)[name], markersize=7)
    axes.margins(x=0.12, y=0.12)
    axes.set_ylim(bottom=-0.05 * axes.get_ylim()[1])
    axes.set_xlabel(f"{label} (log scale)" if log else label)
    axes.set_ylabel(metric)
    _name_points(axes, points, colors(report))


def _curves(figure: Any, report: Report, curves: Curves, key: str) -> None:
    """One line per recommender over the epochs."""
    figure.set_size_inches(WIDTH, 2.8)
    axes = _plain(figure)
    of_result = colors(report)
    for name, records in curves.items():
        kept = [(record["epoch"], record[key]) for record in records if key in record]
        if kept:
            epochs, values = zip(*kept, strict=True)
            axes.plot(epochs, values, color=of_result.get(name, MUTED), label=name, linewidth=1.6)
    axes.set_xlabel("epoch")
    axes.set_ylabel(key)
    figure.legend(loc="outside upper center", ncols=3, handlelength=1.2, columnspacing=1.2)


def _rows(figure: Any, labels: Sequence[str], height: float = ROW) -> Any:
    """Axes with one labeled row per label, first on top."""
    figure.set_size_inches(WIDTH, 0.75 + height * len(labels))
    axes = figure.add_subplot()
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=6)
    return axes


def _from_zero(axes: Any) -> None:
    """Start at 0, with room for half a marker."""
    axes.set_xlim(left=-0.02 * axes.get_xlim()[1])


def _plain(figure: Any) -> Any:
    """Axes with numbers on both sides."""
    axes = figure.add_subplot()
    axes.spines["left"].set_visible(True)
    axes.tick_params(axis="y", labelcolor=MUTED)
    axes.locator_params(axis="y", nbins=6)
    return axes


def _interval(
    axes: Any, row: float, estimate: Estimate, color: str, hollow: bool = False, size: float = 6
) -> None:
    axes.plot([estimate.low, estimate.high], [row, row], color=color, linewidth=size / 3)
    face = SURFACE if hollow else color
    axes.plot(estimate.mean, row, "o", color=color, markerfacecolor=face, markersize=size)


def _note(axes: Any, row: float, text: str) -> None:
    """A figure at the right end of a row."""
    axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", color=MUTED)


def _name_points(
    axes: Any, points: Sequence[tuple[float, float, str]], of_result: Mapping[str, str]
) -> None:
    """Names beside points, at the first of eight places where they cover nothing."""
    from matplotlib.transforms import Bbox

    axes.figure.canvas.draw()
    frame = axes.get_window_extent()
    centers = axes.transData.transform([point[:2] for point in points])
    boxes = [Bbox([center - 5, center + 5]) for center in centers]
    for x, y, name in points:
        label = axes.annotate(
            name, (x, y), (0, 0), textcoords="offset points", va="center", color=of_result[name]
        )
        for right, up in LABEL_PLACES:
            label.set_ha("left" if right > 0 else "right")
            label.set_position((right, up))
            box = label.get_window_extent()
            if frame.x0 < box.x0 and box.x1 < frame.x1 and not box.count_overlaps(boxes):
                break
        boxes.append(box)
