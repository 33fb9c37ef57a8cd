"""The shelf: every generative system on one dataset, beside SASRec and popularity.

python bench/studies/shelf.py --data amazon2014-beauty --encoder all-MiniLM-L6-v2
python bench/studies/shelf.py --data amazon2014-toys --only sasrec duet tiger
python bench/studies/shelf.py --page          # only write docs/results.md again

All are fitted to the same training part and asked the same test questions. The settings below are a
budget: what a system learns in minutes on one core, not what it could reach. Started again, the
study goes on where it was stopped. What it finds goes to a card under bench/results/studies/, and
the tables of the page are written from the cards.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness import machine

BENCH = Path(__file__).parent.parent
RESULTS = BENCH / "results" / "studies"
PAGE = BENCH.parent / "docs" / "results.md"
BASELINE = "sasrec"
METRICS = ("R@5", "N@5", "R@10", "N@10")

SMALL: Mapping[str, Any] = {"blocks": 2, "inner": 256, "epochs": 20}
TINY: Mapping[str, Any] = {"width": 64, "blocks": 2, "head_width": 32, "inner": 256}
PROMPTED: Mapping[str, Any] = {
    "batch_size": 128,
    "learning_rate": 0.003,
    "length": 10,
    "answers": 5,
    "validate_every": 4,
    "validation_questions": 500,
}
BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "popularity": {},
    "itemknn": {},
    "sasrec": {},
    "duet": {},
    "tiger": {},
    "tiger:small": SMALL,
    "apao": SMALL,
    "ttds": {"epochs": 14, "tower_epochs": 5, "refreshes": 3, "validate_every": 7},
    "onerec": {"session": 3, "experts": 4, "blocks": 1, "epochs": 8},
    # It encodes every phrase that a preference may name, so only word statistics are quick enough.
    "mender": {"encoder": "lsa", "reader": "vectors", "epochs": 16, "validate_every": 4},
    "human_priors": {"epochs": 16, "validate_every": 4},
    "human_priors:one": {"epochs": 16, "validate_every": 4, "category": False, "interest": False},
    "setrec": {"epochs": 20, "validate_every": 2},
    "recgpt": {**TINY, "batch_size": 256, "epochs": 20, "validate_every": 4},
    "semantic_pieces": {"epochs": 20, "validate_every": 4},
    "joint_search": {
        **TINY,
        **{"dropout": 0.1, "queries": 4, "epochs": 8, "batch_size": 256},
        **{"tune_epochs": 2, "tune_inner": 512, "reach": 1},
    },
    "lcrec": {
        **{"epochs": 12, "blocks": 2, "learning_rate": 0.003, "share": 0.1, "validate_every": 4}
    },
    "lcrec:short": {  # for whom half an hour is too long
        **{"epochs": 6, "blocks": 2, "learning_rate": 0.003, "share": 0.1, "validate_every": 3}
    },
    "ulmrec": {"epochs": 2, "length": 5, "alignment_epochs": 1},
    "how_to_index": {
        **PROMPTED,
        **{"encoder": "lsa", "codes": 500, "epochs": 4, "validate_every": 2},
        **{"sequential": 3, "direct": 0},
    },
    "p5": {**PROMPTED, "epochs": 4, "validate_every": 2},
    "elmrec": {**PROMPTED, "epochs": 4, "validate_every": 2},
}


def settings_of(name: str, encoder: str) -> dict[str, Any]:
    """A row's budget, and the encoder of texts if its paper takes one."""
    from itemlm import papers

    config = papers.get(name.partition(":")[0]).Config
    takes_texts = any(field.name == "encoder" for field in fields(config))
    return {**({"encoder": encoder} if takes_texts else {}), **BUDGETS[name]}


def study(data: str, names: list[str], encoder: str, folder: Path) -> dict[str, Any]:
    """Fit everybody who is not fitted yet, and ask all of them."""
    import itemlm

    load = machine.OtherLoad()
    report = itemlm.compare(
        names,
        itemlm.load(data),
        settings={name: settings_of(name, encoder) for name in names},
        folder=folder,
        baseline=BASELINE,
        say=lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", flush=True),
    )
    rows = {}
    for name in names:
        result, minus = report[name], report.comparison(name, "NDCG@10", BASELINE)
        rows[name] = {
            "budget": dict(BUDGETS[name]),
            "metrics": {metric: _interval(result[metric]) for metric in METRICS},
            "minus baseline": None if minus is None else _interval(minus.difference),
            "coverage": result.beyond.coverage,
            "short lists": result.short_lists,
            "fit seconds": result.cost.fit_seconds,
            "epochs": result.cost.epochs,
            "parameters": result.cost.parameters,
            "ms for 1": result.timing.latency_ms,
            "ms for 64": result.timing.latency_64_ms,
        }
    return {
        "data": data,
        "encoder": encoder,
        "itemlm": itemlm.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "other cores": load.cores(),
        "rows": rows,
    }


def _interval(estimate: Any) -> dict[str, float]:
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}


# --- Writing --------------------------------------------------------------------------------------


def figure(value: float, sign: str = "") -> str:
    """`.0123`, as in the field's tables."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1).replace("-", "−")


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """A card as a Markdown table, the best first."""
    head = ["model", *METRICS, "N@10 minus sasrec", "parameters", "fit s", "ms for 1", "ms for 64"]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for name, row in sorted(
        found["rows"].items(), key=lambda pair: -pair[1]["metrics"]["N@10"]["mean"]
    ):
        cells = [
            f"{figure(part['mean'])} ± {figure((part['high'] - part['low']) / 2)}"
            for part in (row["metrics"][metric] for metric in METRICS)
        ]
        minus = row["minus baseline"]
        cells.append(
            "–"
            if minus is None
            else f"{figure(minus['mean'], '+')} [{figure(minus['low'], '+')}, "
            f"{figure(minus['high'], '+')}]"
        )
        cells.append(f"{row['parameters']:,}" if row["parameters"] else "–")
        seconds = row["fit seconds"]
        cells.append(f"{seconds:,.0f}" if seconds >= 1 else "< 1")
        cells += [f"{row['ms for 1']:.1f}", f"{row['ms for 64']:.1f}"]
        yield f"| {name} | {' | '.join(cells)} |"


def page(text: str, found: Mapping[str, Any]) -> str:
    """The page with a card's table between the marks of its dataset.

    Raises:
        SystemExit: if the page has no such marks.
    """
    begin, end = f"<!-- shelf {found['data']}: begin -->", f"<!-- shelf {found['data']}: end -->"
    head, begun, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not begun or not ended:
        sys.exit(f"{PAGE} has no marks {begin} and {end}; add them where the table should stand.")
    return f"{head}{begin}\n" + "\n".join(table(found)) + f"\n{end}{tail}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="amazon2014-beauty", help="a name that itemlm.load knows")
    parser.add_argument("--encoder", default="lsa", help="of texts; see itemlm encode")
    parser.add_argument("--only", nargs="+", choices=list(BUDGETS), default=list(BUDGETS))
    parser.add_argument("--folder", type=Path, help="of the runs; runs/shelf/DATA if left out")
    parser.add_argument("--page", action="store_true", help="only write the page from the cards")
    asked = parser.parse_args()
    if not asked.page:
        names = list(dict.fromkeys([*asked.only, BASELINE]))
        folder = asked.folder or Path("runs") / "shelf" / asked.data
        found = study(asked.data, names, asked.encoder, folder)
        RESULTS.mkdir(parents=True, exist_ok=True)
        card = RESULTS / f"shelf-{asked.data}.json"
        if card.exists():  # rows of other systems stay
            before = json.loads(card.read_text())
            found["rows"] = {**before["rows"], **found["rows"]}
        card.write_text(json.dumps(found, indent=1) + "\n")
        print("\n".join(table(found)))
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted(RESULTS.glob("shelf-*.json")):
        text = page(text, json.loads(path.read_text()))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
