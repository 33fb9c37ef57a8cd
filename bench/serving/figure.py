"""A figure: one command that measures the service, prints a line per finding and records it.

Findings of all figures lie in bench/results/serving.json, from which `page.py` writes
docs/serving-performance.md.

    FIGURE = Figure("swap", "Swapping models", "What is done.", measure)
    if __name__ == "__main__":
        FIGURE.main()
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness import machine

RESULTS = Path(__file__).parent.parent / "results" / "serving.json"
Options = argparse.Namespace


@dataclass(frozen=True)
class Row:
    """A finding.

    Attributes:
        what: was measured.
        measured: in words and numbers.
        aim: in words; empty where there is none.
        met: whether it is; None without one.
        values: the numbers.
    """

    what: str
    measured: str
    aim: str = ""
    met: bool | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """For the terminal."""
        verdict = {None: "", True: f"  (aim {self.aim}: met)", False: f"  (aim {self.aim}: MISSED)"}
        return f"{self.what}: {self.measured}{verdict[self.met]}"


@dataclass(frozen=True)
class Figure:
    """A set of findings with one command.

    Attributes:
        name: of the file in bench/serving/ and of the results.
        title: for the page.
        text: what is done, for the page.
        measure: gives the rows; its argument has `quick` and what `options` adds.
        options: adds arguments to the command.
    """

    name: str
    title: str
    text: str
    measure: Callable[[Options], Iterable[Row]]
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(description=self.title)
        parser.add_argument("--quick", action="store_true", help="a smoke test")
        parser.add_argument(
            "--results",
            type=Path,
            help=f"file to record in; {RESULTS.name} in bench/results, and nothing when quick",
        )
        self.options(parser)
        given = parser.parse_args(arguments)
        # Told to end, it ends by an exception, so that services are stopped.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        print(f"{self.title}{', quick' if given.quick else ''}", flush=True)
        others, rows = machine.OtherLoad(), []
        for row in self.measure(given):
            rows.append(row)
            print("  " + row.line(), flush=True)
        busy = round(others.cores(), 2)
        print(f"  other processes used {busy} cores", flush=True)
        target = given.results or (None if given.quick else RESULTS)
        if target is not None:
            self.record(target, rows, busy, given.quick)

    def record(self, target: Path, rows: Sequence[Row], other_cores: float, quick: bool) -> None:
        """Write the rows down, in the place of what this figure found before."""
        done = findings(target)
        done[self.name] = {
            "name": self.name,
            "date": datetime.date.today().isoformat(),
            "machine": machine.describe(),
            "other_cores": other_cores,
            "quick": quick,
            "rows": [_finite(asdict(row)) for row in rows],
        }
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_suffix(".partial")
        content = {"figure": "serving", "figures": [done[name] for name in sorted(done)]}
        aside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        aside.replace(target)


def findings(path: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """What was measured before, by figure."""
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else []
    return {figure["name"]: figure for figure in figures}


def cores() -> tuple[list[int], list[int]]:
    """Cores for the service and for those who ask it; the same ones if there is only one."""
    available = sorted(_ALL)
    half = len(available) // 2
    return (available[:half] or available, available[half:])


_ALL = os.sched_getaffinity(0)  # before anybody confines this process


def to_clients() -> None:
    """Confine this process to the cores that the service does not use."""
    os.sched_setaffinity(0, cores()[1])


def _finite(value: Any) -> Any:
    """NaN is no JSON."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
