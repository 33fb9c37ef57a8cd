"""Writes docs/performance.md from bench/results, and the plot of growth beside it.

python bench/harness/page.py            # write
python bench/harness/page.py --check    # fail if the page is not what the results say
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness import peers
from harness.race import Figure, Race, Row, rows

FIGURES = (
    *("training", "evaluation", "single_user", "classic", "beams", "decoding"),
    *("set_decoding", "tokenizer", "filters", "data", "growth", "start"),
)
DOCS = peers.BENCH.parent / "docs"
PAGE = DOCS / "performance.md"
PLOT = DOCS / "images" / "growth.svg"

OPENING = """\
# Performance

How fast itemlm is beside its peers. Contenders take turns (A B A B ...), each in a process and an
environment of its own, with the same data, sizes, batch, loss and threads. A **ratio** above 1
means that the first row of a table is that many times better than this row; it is the median of the
ratios within rounds, with the lowest and the highest. Ratios are what we claim: absolute numbers
are those of one machine.

<!-- Written by bench/harness/page.py from bench/results. Do not edit by hand. -->

Measure them yourself:

```bash
make bench-peers   # once: every peer into an environment of its own
make bench         # everything: about an hour
```

What was tried on the way, and what failed, is in the [log](log.md).
"""


def number(value: float) -> str:
    """With three significant digits, or whole if large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quality(row: Row) -> str:
    """What shows that the same thing was computed; '+-' belongs to the figure before it."""
    shown = []
    for name, value in row.quality.items():
        if name.endswith(" +-"):
            shown[-1] += f" ± {value:.4f}"
        else:
            shown.append(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(shown)


def table(race: Mapping[str, Any]) -> Iterator[str]:
    """The rows of one race."""
    made = rows(race)
    with_quality = any(row.quality for row in made)
    head = ["", race["measure"], "lowest to highest", "ratio", "peak MB"]
    head += ["result"] if with_quality else []
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join(["---"] * len(head)) + "|"
    for row in made:
        if row.median is None or row.low is None or row.high is None:
            yield f"| {row.name} | failed: {row.failed.replace('|', '/')} |" + " |" * (
                len(head) - 2
            )
            continue
        ratio = "1"
        if row is not made[0]:
            low, high = min(row.ratios), max(row.ratios)
            ratio = f"**{number(statistics.median(row.ratios))}** ({number(low)} to {number(high)})"
        cells = [row.name, number(row.median), f"{number(row.low)} to {number(row.high)}", ratio]
        cells += [f"{row.peak_mb:,}"] + ([quality(row)] if with_quality else [])
        yield "| " + " | ".join(cells) + " |"


def conditions(race: Mapping[str, Any]) -> str:
    """When, how often and with what a race was run."""
    outcomes = [outcome for one in race["rounds"] for outcome in one.values()]
    versions: dict[str, str] = {}
    for outcome in outcomes:
        versions |= outcome.get("versions", {})
    notes = dict.fromkeys(note for outcome in outcomes for note in outcome.get("notes", ()))
    busiest = max(outcome["other_cores"] for outcome in outcomes)
    asked = {key: value for key, value in race["settings"].items() if value not in (0, False, "")}
    settings = ", ".join(f"{key} {value}" for key, value in asked.items())
    said = (
        f"{len(race['rounds'])} rounds on {race['date']}; {settings}; other processes used at most "
        f"{busiest:.1f} cores; {', '.join(f'{name} {v}' for name, v in sorted(versions.items()))}."
    )
    return " ".join([said, *notes])


def section(figure: Figure) -> Iterator[str]:
    """One figure."""
    measured = figure.results()
    yield f"## {figure.title}\n"
    yield f"{figure.text}\n"
    yield f"```bash\npython bench/{figure.name}.py\n```\n"
    if figure.name == "growth":
        yield f"![Growth](images/{PLOT.name})\n"
    for race in figure.races:
        if race.name in measured:
            yield from race_section(race, measured[race.name])


def race_section(race: Race, measured: Mapping[str, Any]) -> Iterator[str]:
    """One race."""
    yield f"### {figure_name(race.name)}\n"
    if race.reach:
        yield f"We want: {race.reach}. {race.bound}".strip() + "\n"
    yield "\n".join(table(measured)) + "\n"
    yield f"<small>{conditions(measured)}</small>\n"


def figure_name(name: str) -> str:
    """A heading begins with a capital."""
    return name[:1].upper() + name[1:]


def machines(figures: list[Figure]) -> str:
    """The machines that results come from."""
    seen = [race["machine"] for figure in figures for race in figure.results().values()]
    unique = {json.dumps(machine, sort_keys=True): machine for machine in seen}
    lines = [
        f"{m['processor']} ({', '.join(m['instructions'])}), {m['cores']} cores, "
        f"{m['memory GB']} GB, {m['system']}, Python {m['python']}"
        for m in unique.values()
    ]
    return "Measured on: " + "; ".join(lines) + ".\n"


def page() -> str:
    """The whole page."""
    figures = [importlib.import_module(name).FIGURE for name in FIGURES]
    parts = [OPENING, machines(figures)]
    for figure in figures:
        parts += section(figure)
    return "\n".join(parts)


def plot_growth() -> None:
    """Time against size, each axis a panel, both on logarithmic scales."""
    from matplotlib.figure import Figure as Canvas

    figure: Figure = importlib.import_module("growth").FIGURE
    measured = figure.results()
    axes_names = list(dict.fromkeys(name.split(", ")[1] for name in measured))
    canvas = Canvas(figsize=(9, 3), layout="constrained")
    panels = canvas.subplots(1, len(axes_names), sharey=True)
    for panel, axis in zip(panels, axes_names, strict=True):
        for job, color in (("training", "#00796b"), ("evaluation", "#e65100")):
            race = measured[f"{job}, {axis}"]
            times = [contender["settings"]["times"] for contender in race["contenders"]]
            seconds = [row.median for row in rows(race)]
            panel.loglog(times, seconds, "o-", color=color, label=job)
            linear = [seconds[0] * factor for factor in times]
            panel.loglog(times, linear, ":", color=color, linewidth=1)
        panel.set_xticks(times, [f"x{factor}" for factor in times])
        panel.minorticks_off()
        panel.set_title(axis)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds")
    panels[0].legend(frameon=False)
    canvas.supxlabel("size (dotted: linear growth)", fontsize=9)
    PLOT.parent.mkdir(exist_ok=True)
    canvas.savefig(PLOT, metadata={"Date": None})


if __name__ == "__main__":
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} is not what bench/results says; run python bench/harness/page.py")
    else:
        PAGE.write_text(page(), encoding="utf-8")
        plot_growth()
        print(f"wrote {PAGE}")
