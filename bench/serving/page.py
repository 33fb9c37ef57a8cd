"""Writes docs/serving-performance.md from bench/results/serving.json.

python bench/serving/page.py            # write
python bench/serving/page.py --check    # fail if the page is not what the results say
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from serving.figure import RESULTS, Figure, findings

FIGURES = (
    *("throughput", "overload", "swap", "kill", "soak"),
    *("fresh_item", "same_answers", "hostile"),
)
PAGE = RESULTS.parents[2] / "docs" / "serving-performance.md"
OPENING = """\
# What the service withstands

How fast `itemlm serve` answers, and what happens when too many ask, when models are swapped, when
the process is killed and when input is hostile. Everything runs on one machine: the service on half
of its cores, those who ask it on the others, over HTTP on 127.0.0.1.

<!-- Written by bench/serving/page.py from bench/results/serving.json. Do not edit by hand. -->

Measure it yourself:

```bash
{commands}
```

Each takes `--quick` for a small version, which records nothing.
"""


def figures() -> list[Figure]:
    """All of them, in the order of the page."""
    return [importlib.import_module(f"serving.{name}").FIGURE for name in FIGURES]


def page(results: Path = RESULTS) -> str:
    """The whole page."""
    measured = findings(results)
    commands = "\n".join(f"python bench/serving/{name}.py" for name in FIGURES)
    parts = [OPENING.format(commands=commands), machines(measured), *missed(measured)]
    for figure in figures():
        parts += section(figure, measured.get(figure.name))
    return "\n".join(parts)


def machines(measured: Mapping[str, Any]) -> str:
    """The machines that results come from."""
    seen = [figure["machine"] for figure in measured.values()]
    unique = {json.dumps(machine, sort_keys=True): machine for machine in seen}
    lines = [
        f"{m['processor']} ({', '.join(m['instructions'])}), {m['cores']} cores, "
        f"{m['memory GB']} GB, {m['system']}, Python {m['python']}"
        for m in unique.values()
    ]
    return f"Measured on: {'; '.join(lines) or 'nothing yet'}.\n"


def missed(measured: Mapping[str, Any]) -> Iterator[str]:
    """Aims that were not reached, first of all."""
    lines = [
        f"- **{one.title}**, {row['what']}: {row['measured']}; the aim was {row['aim']}."
        for one in figures()
        for row in measured.get(one.name, {"rows": ()})["rows"]
        if row["met"] is False
    ]
    yield "## Missed\n"
    yield ("\n".join(lines) if lines else "Every aim of what was measured is met.") + "\n"


def section(figure: Figure, measured: Mapping[str, Any] | None) -> Iterator[str]:
    """One figure."""
    yield f"## {figure.title}\n"
    yield f"{figure.text}\n"
    if measured is None:
        yield "Not measured yet.\n"
        return
    yield "| what | aim | measured |\n|---|---|---|"
    for row in measured["rows"]:
        aim = row["aim"] + (" (**missed**)" if row["met"] is False else "")
        cells = [row["what"], aim, row["measured"]]
        yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
    small = " A small version." if measured["quick"] else ""
    yield (
        f"\n<small>{measured['date']}; other processes used {measured['other_cores']:.1f} "
        f"cores.{small}</small>\n"
    )


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} is not what bench/results says; run python bench/serving/page.py")
    else:
        PAGE.write_text(page(), encoding="utf-8")
        print(f"wrote {PAGE}")
