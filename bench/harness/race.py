"""Races: contenders do the same job in turns, A B A B, each in a process of its own.

One figure is one file in `bench/` with a few races. A race runs every contender once per round and
compares within rounds, so that a slow minute of the machine hits both sides of a ratio.

    FIGURE = Figure(name="start", title="Start", text="...", races=(Race(...),))
    if __name__ == "__main__":
        FIGURE.main()
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import machine, peers

RESULTS = peers.BENCH / "results"
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"),
)
LIMIT_SECONDS = 3600.0


@dataclass(frozen=True)
class Contender:
    """One side of a race.

    Attributes:
        name: as shown.
        script: contenders/<figure>_<script>.py; the name, if empty.
        env: the environment it runs in; if empty, the script's where there is one, or else ours.
        settings: added to the race's.
    """

    name: str
    script: str = ""
    env: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Variants of itemlm have it in their names."""
        return self.name.startswith(peers.OURS)

    def command(self, figure: str, settings: Mapping[str, Any]) -> list[str]:
        """What starts it."""
        script = self.script or self.name
        environment = self.env or (script if script in peers.names() else peers.OURS)
        path = peers.BENCH / "contenders" / f"{figure}_{script}.py"
        return [str(peers.python_of(environment)), str(path), json.dumps(settings)]


@dataclass(frozen=True)
class Race:
    """One job, done by several contenders.

    Attributes:
        name: of the job.
        contenders: the first is ours: the one that ratios are about.
        measure: the value that decides.
        settings: for all contenders, beside those of each.
        rounds: how often everyone runs.
        higher_is_better: a rate rather than a time.
        reach: what we want, in words.
        bound: how far we are and what bounds it, in words, where the reach is not met.
        prepare: makes settings that need work first, such as writing data.
        quick: settings of a smoke test.
    """

    name: str
    contenders: tuple[Contender, ...]
    measure: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 5
    higher_is_better: bool = False
    reach: str = ""
    bound: str = ""
    prepare: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    quick: Mapping[str, Any] = field(default_factory=dict)

    def run(self, figure: str, threads: int, quick: bool) -> dict[str, Any]:
        """All rounds, and what they come to."""
        settings = {**self.settings, **(self.quick if quick else {}), "threads": threads}
        shown = dict(settings)
        if self.prepare is not None:
            settings |= self.prepare(settings)
        rounds: list[dict[str, Any]] = []
        for number in range(1 if quick else self.rounds):
            outcomes = {}
            for contender in self.contenders:
                command = contender.command(figure, {**settings, **contender.settings})
                outcomes[contender.name] = _run(command, threads)
                _tell(number, contender.name, outcomes[contender.name], self.measure)
            rounds.append(outcomes)
        return {
            "name": self.name,
            "measure": self.measure,
            "higher_is_better": self.higher_is_better,
            "settings": shown,
            "contenders": [
                {"name": c.name, "ours": c.ours, "settings": dict(c.settings)}
                for c in self.contenders
            ],
            "rounds": rounds,
        }


@dataclass(frozen=True)
class Figure:
    """A set of races with one command.

    Attributes:
        name: of the file in bench/ and of the results.
        title: for the page.
        text: what is timed, what is equal among the contenders, what differs.
        races: the jobs.
    """

    name: str
    title: str
    text: str
    races: tuple[Race, ...]

    def main(self) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(description=self.title)
        parser.add_argument("--quick", action="store_true", help="a smoke test; writes no results")
        parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--only", default="", help="races whose names contain this")
        arguments = parser.parse_args()
        self.check()
        chosen = [race for race in self.races if arguments.only in race.name]
        if not chosen:
            known = ", ".join(race.name for race in self.races)
            sys.exit(f"no race is called '{arguments.only}'; there are: {known}")
        done = self.results()
        for race in chosen:
            print(f"\n{self.title}: {race.name}, {arguments.threads} threads", flush=True)
            done[race.name] = race.run(self.name, arguments.threads, arguments.quick)
            done[race.name] |= _stamp()
            print(table(done[race.name]), flush=True)
            if not arguments.quick:
                self._write([done[r.name] for r in self.races if r.name in done])

    def check(self) -> None:
        """Say at once which environments are missing."""
        commands = [c.command(self.name, {}) for race in self.races for c in race.contenders]
        missing = sorted({command[0] for command in commands if not Path(command[0]).exists()})
        if missing:
            sys.exit("run 'make bench-peers' first; there is no " + ", ".join(missing))

    @property
    def path(self) -> Path:
        """Where results are kept."""
        return RESULTS / f"{self.name}.json"

    def results(self) -> dict[str, dict[str, Any]]:
        """What was measured before, by race."""
        races = json.loads(self.path.read_text())["races"] if self.path.exists() else []
        return {race["name"]: race for race in races}

    def _write(self, races: Sequence[Mapping[str, Any]]) -> None:
        RESULTS.mkdir(exist_ok=True)
        content = {"figure": self.name, "races": list(races)}
        aside = self.path.with_suffix(".partial")
        aside.write_text(json.dumps(content, indent=1) + "\n")
        aside.replace(self.path)


def _stamp() -> dict[str, Any]:
    return {"date": datetime.date.today().isoformat(), "machine": machine.describe()}


def _run(command: list[str], threads: int) -> dict[str, Any]:
    """One contender's outcome: what it reports, its peak memory and what else went on."""
    environment = os.environ | {name: str(threads) for name in THREAD_VARIABLES}
    environment |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    others, began = machine.OtherLoad(), time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as errors,
        tempfile.TemporaryDirectory() as folder,  # some peers leave files where they run
    ):
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=environment,
            cwd=folder,
        )
        alarm = threading.Timer(LIMIT_SECONDS, child.kill)
        alarm.start()
        _, status, usage = os.wait4(child.pid, 0)
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        lines, trouble = out.read().strip().splitlines(), errors.read().strip()
    outcome: dict[str, Any] = {
        "seconds": round(time.monotonic() - began, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "other_cores": round(others.cores(), 2),
    }
    if child.returncode:
        reason = f"killed by signal {-child.returncode}" if child.returncode < 0 else "no message"
        return outcome | {"failed": (trouble or reason).splitlines()[-1][:300]}
    return outcome | json.loads(lines[-1])


def _tell(number: int, name: str, outcome: Mapping[str, Any], measure: str) -> None:
    """One line while it runs."""
    if "failed" in outcome:
        print(f"  {number + 1}. {name:<28} FAILED: {outcome['failed']}", flush=True)
        return
    value = outcome["values"][measure]
    quality = " ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in outcome["quality"].items()
    )
    print(
        f"  {number + 1}. {name:<28} {value:>12,.4g} {measure}; {outcome['peak_mb']:,} MB; "
        f"others {outcome['other_cores']:.1f} cores; {outcome['seconds']:.0f} s  {quality}",
        flush=True,
    )


@dataclass(frozen=True)
class Row:
    """What a contender's rounds come to.

    Attributes:
        name: of the contender.
        median, low, high: of the deciding measure; None where every round failed.
        ratios: ours against it, round by round: how many times better ours is.
        peak_mb: most memory of any round.
        quality: of the last round that worked.
        failed: why a round failed, if one did.
    """

    name: str
    median: float | None
    low: float | None
    high: float | None
    ratios: tuple[float, ...]
    peak_mb: int
    quality: Mapping[str, Any]
    failed: str


def rows(race: Mapping[str, Any]) -> list[Row]:
    """One row per contender; ratios are those of the race's first contender to it."""
    ours = race["contenders"][0]["name"]
    measure, higher = race["measure"], race["higher_is_better"]
    made = []
    for contender in race["contenders"]:
        name = contender["name"]
        outcomes = [one[name] for one in race["rounds"]]
        worked = [outcome for outcome in outcomes if "failed" not in outcome]
        values = [outcome["values"][measure] for outcome in worked]
        ratios = []
        for one in race["rounds"]:
            if "failed" not in one[name] and "failed" not in one[ours]:
                theirs, mine = one[name]["values"][measure], one[ours]["values"][measure]
                ratios.append(mine / theirs if higher else theirs / mine)
        made.append(
            Row(
                name=name,
                median=statistics.median(values) if values else None,
                low=min(values, default=None),
                high=max(values, default=None),
                ratios=tuple(ratios),
                peak_mb=max(outcome["peak_mb"] for outcome in outcomes),
                quality=worked[-1]["quality"] if worked else {},
                failed=next((o["failed"] for o in outcomes if "failed" in o), ""),
            )
        )
    return made


def table(race: Mapping[str, Any]) -> str:
    """The rows as text."""
    lines = [f"{'':<28}{'median':>12} {'lowest':>10} {'highest':>10} {'ratio':>8}  pair by pair"]
    for row in rows(race):
        if row.median is None:
            lines.append(f"{row.name:<28}  failed: {row.failed}")
            continue
        pairs = " ".join(f"{ratio:.2f}" for ratio in row.ratios)
        ratio = f"{statistics.median(row.ratios):.2f}x" if row.ratios else ""
        lines.append(
            f"{row.name:<28}{row.median:>12,.4g} {row.low:>10,.4g} {row.high:>10,.4g} "
            f"{ratio:>8}  {pairs}"
        )
    return "\n".join(lines)
