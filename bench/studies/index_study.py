"""The index study: the same generator, fitted with every kind of item index.

python bench/studies/index_study.py --data demo --set codes=64 --epochs 10 --width 64
python bench/studies/index_study.py --data amazon2014-beauty --epochs 60
python bench/studies/index_study.py --page          # only write docs/index-study.md again

Each index is fitted and evaluated once, by `itemlm.compare`, in a folder of its own. Started again
with the same settings, the study goes on where it was stopped. What it finds goes to a card under
bench/results/studies/, and the page's tables are written from the cards.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness import machine

BENCH = Path(__file__).parent.parent
RESULTS = BENCH / "results" / "studies"
PAGE = BENCH.parent / "docs" / "index-study.md"
BEGIN, END = "<!-- study: begin -->", "<!-- study: end -->"
METRICS = {"R@5": "Recall@5", "N@5": "NDCG@5", "R@10": "Recall@10", "N@10": "NDCG@10"}
HEADLINE = "Recall@10"
CONTROL = "random"
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Index:
    """A kind of index.

    Attributes:
        tokenizer: its name here.
        short: its name in "How to Index Item IDs"; "" if it is not there.
        published: R@5, N@5, R@10, N@10 on Amazon Beauty: P5 on T5-small, 20 epochs.
    """

    tokenizer: str
    short: str = ""
    published: tuple[float, float, float, float] | None = None


INDEXES = (
    Index(tokenizer="random", short="RID", published=(0.0213, 0.0178, 0.0479, 0.0277)),
    Index(tokenizer="title", short="TID", published=(0.0182, 0.0132, 0.0432, 0.0254)),
    Index(tokenizer="independent", short="IID", published=(0.0394, 0.0268, 0.0615, 0.0341)),
    Index(tokenizer="sequential", short="SID", published=(0.0430, 0.0288, 0.0602, 0.0368)),
    Index(tokenizer="collaborative", short="CID", published=(0.0489, 0.0318, 0.0680, 0.0357)),
    Index(tokenizer="semantic", short="SemID", published=(0.0433, 0.0299, 0.0652, 0.0370)),
    Index(
        tokenizer="collaborative+independent",
        short="CID+IID",
        published=(0.0512, 0.0356, 0.0732, 0.0427),
    ),
    Index(
        tokenizer="semantic+independent",
        short="SemID+IID",
        published=(0.0501, 0.0344, 0.0724, 0.0411),
    ),
    Index(tokenizer="residual_kmeans"),
)
PUBLISHED_ON = "amazon2014-beauty"
BY_NAME = {index.tokenizer: index for index in INDEXES}


# --- Measuring ------------------------------------------------------------------------------------


def measure(data: str, tokenizer: str, settings: Mapping[str, Any], folder: Path) -> None:
    """Fit the generator with one index, unless its folder says that this is done."""
    import itemlm
    from itemlm.encode.by_name import encoder_named
    from itemlm.text.describe import describe
    from itemlm.tokenize.categories import category_names
    from itemlm.tokenize.quality import quality
    from itemlm.tokenize.tokens import ItemTokens

    if (folder / "result.json").exists():
        return
    dataset = itemlm.load(data)
    name = f"tiger:{tokenizer}"
    load = machine.OtherLoad()
    report = itemlm.compare(
        [name],
        dataset,
        settings={name: {**settings, "tokenizer": tokenizer}},
        folder=folder,
        say=lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", flush=True),
    )
    result = report[name]
    run = folder / "runs" / f"tiger-{tokenizer}-seed0"
    tokens = ItemTokens.load(run / "stages" / "tokens")
    split = dataset.split(itemlm.LeaveOneOut())
    found = quality(
        tokens,
        encoder_named("lsa").encode(describe(dataset)),
        histories=split.train.sequences,
        questions=split.validation,
        categories=category_names(dataset.catalog),
    )
    np.savez(folder / "values.npz", **{full: result.values[full] for full in METRICS.values()})
    made = {
        "metrics": {
            short: {"mean": result[full].mean, "low": result[full].low, "high": result[full].high}
            for short, full in METRICS.items()
        },
        "quality": found.to_dict(),
        "questions": len(result.values[HEADLINE]),
        "fit seconds": result.cost.fit_seconds,
        "tokenizer seconds": float((run / "stages" / "tokens.seconds").read_text()),
        "epochs": result.cost.epochs,
        "parameters": result.cost.parameters,
        "ms per question": result.timing.latency_ms,
        "other cores": load.cores(),
    }
    aside = folder / "result.partial"
    aside.write_text(json.dumps(made, indent=1))
    aside.rename(folder / "result.json")


def differences(values: Mapping[str, np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    """Every two indexes on the same questions: the difference of R@10, with a paired interval."""
    from itemlm.evaluation.significance import bootstrap_means, interval

    names = list(values)
    values_QJ = np.stack([values[name] for name in names], axis=1)
    each_Q = np.arange(len(values_QJ))  # leave-one-out asks every user once
    means_RJ = bootstrap_means(values_QJ, each_Q, DRAWS, seed=0)
    found = []
    for one, two in itertools.combinations(range(len(names)), 2):
        low, high = interval((means_RJ[:, one] - means_RJ[:, two])[:, None])
        found.append(
            {
                "one": names[one],
                "two": names[two],
                "mean": float((values_QJ[:, one] - values_QJ[:, two]).mean()),
                "low": float(low[0]),
                "high": float(high[0]),
            }
        )
    return found


def card(data: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What has been measured so far."""
    import itemlm

    done = {path.parent.name: path for path in sorted(folder.glob("*/result.json"))}
    names = [name for name in BY_NAME if name in done]
    names += [name for name in done if name not in BY_NAME]
    rows = {name: json.loads(done[name].read_text()) for name in names}
    values = {name: np.load(done[name].with_name("values.npz"))[HEADLINE] for name in names}
    return {
        "data": data,
        "settings": dict(settings),
        "itemlm": itemlm.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "rows": rows,
        "differences": differences(values),
    }


# --- Writing --------------------------------------------------------------------------------------


def orderings(
    found: list[dict[str, Any]], published: Mapping[str, float]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of indexes, the better one by the published table first.

    Returns:
        those that our figures put in the same order, those that they put in the other, and those
        whose interval holds 0, which settle nothing.
    """
    same, other, open_ = [], [], []
    for pair in found:
        one, two, mean = pair["one"], pair["two"], pair["mean"]
        if one not in published or two not in published:
            continue
        if published[one] < published[two]:
            one, two, mean = two, one, -mean
        if pair["low"] <= 0 <= pair["high"]:
            open_.append((one, two))
        else:
            (same if mean > 0 else other).append((one, two))
    return same, other, open_


def figure(value: float) -> str:
    """`.0123`, as in the field's tables."""
    return f"{value:.4f}".removeprefix("0")


def section(found: Mapping[str, Any]) -> Iterator[str]:
    """The tables of one card."""
    asked = " ".join(f"--set {key}={value}" for key, value in found["settings"].items())
    yield f"### {found['data']}\n"
    yield (
        f"```bash\npython bench/studies/index_study.py --data {found['data']} {asked}".strip()
        + "\n```\n"
    )
    yield from before_training(found["rows"])
    yield from after_training(found)
    if found["data"] == PUBLISHED_ON:
        yield from verdict(found)
    others = max(row["other cores"] for row in found["rows"].values())
    cpu = found["machine"]
    yield (
        f"<small>itemlm {found['itemlm']}, {found['date']}; {cpu['processor']}, {cpu['cores']} "
        f"cores, Python {cpu['python']}; other processes used up to {others:.1f} cores, so seconds "
        "are upper bounds.</small>\n"
    )


def before_training(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "Before training: what the codes are worth by themselves.\n"
    yield (
        "| index | codes per item | codes in use | siblings | same top category | near in text "
        "| together | next | tokenizer s |"
    )
    yield "|" + "---|" * 9
    for name, row in rows.items():
        of = row["quality"]
        purity = f"{of['top_purity'][0]:.0%}" if of["top_purity"] else "–"
        near = [f"{of['halvings'][kind]:.2f}" for kind in ("agreement", "company", "following")]
        yield (
            f"| `{name}` | {of['length']:.1f} | {of['used']:.0%} of "
            f"{of['vocabulary']:,} | {of['sharing']:.1%} | {purity} | {' | '.join(near)} "
            f"| {row['tokenizer seconds']:.1f} |"
        )
    chance = next(iter(rows.values()))["quality"]["chance_top_purity"]
    yield f"\nBy chance {chance:.0%} of items are of the same top category.\n"


def after_training(found: Mapping[str, Any]) -> Iterator[str]:
    rows, on_beauty = found["rows"], found["data"] == PUBLISHED_ON
    yield "After training: test questions, full catalog, ± half a 95 % interval over users.\n"
    more = ["published", "R@5", "N@5", "R@10", "N@10"] if on_beauty else []
    head = ["index", *METRICS, "fit s", *more]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for name, row in rows.items():
        cells = [
            f"{figure(m['mean'])} ± {figure((m['high'] - m['low']) / 2)}"
            for m in (row["metrics"][short] for short in METRICS)
        ]
        cells.append(f"{row['fit seconds']:,.0f}")
        if on_beauty:
            index = BY_NAME.get(name, Index(tokenizer=name))
            known = index.published
            cells += [index.short or "–", *([figure(v) for v in known] if known else ["–"] * 4)]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    control = [pair for pair in found["differences"] if CONTROL in (pair["one"], pair["two"])]
    if control:
        yield f"R@10 minus that of `{CONTROL}`, paired over users:\n"
        yield "| index | difference | 95 % interval |"
        yield "|---|---|---|"
        for pair in control:
            sign = -1 if pair["one"] == CONTROL else 1
            name = pair["two"] if sign < 0 else pair["one"]
            ends = sorted((sign * pair["low"], sign * pair["high"]))
            interval = ", ".join(f"{end:+.4f}" for end in ends)
            yield f"| `{name}` | {sign * pair['mean']:+.4f} | [{interval}] |"
        yield ""


def verdict(found: Mapping[str, Any]) -> Iterator[str]:
    published = {index.tokenizer: index.published[2] for index in INDEXES if index.published}
    same, other, open_ = orderings(found["differences"], published)
    yield (
        f"Of the {len(same) + len(other) + len(open_)} pairs of published indexes measured here, "
        f"our R@10 puts {len(same)} into the published order and {len(other)} into the opposite "
        f"one, with a paired interval that leaves out 0; {len(open_)} are not settled.\n"
    )
    for title, pairs in (
        ("The same order", same),
        ("The opposite order", other),
        ("Not settled", open_),
    ):
        if pairs:
            said = "; ".join(f"`{better}` over `{worse}`" for better, worse in pairs)
            yield f"- {title} (published as): {said}."
    yield ""


def page(text: str, cards: list[Mapping[str, Any]]) -> str:
    """The page with the tables of all cards between its marks."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    lines = [line for found in cards for line in section(found)]
    tables = "\n".join(lines) if lines else "Not measured yet.\n"
    return f"{head}{BEGIN}\n{tables}{END}{tail}"


def cards() -> list[Mapping[str, Any]]:
    """All cards, by data."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("index-*.json"))]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="demo", help="a name that itemlm.load knows")
    parser.add_argument(
        "--folder", type=Path, help="of the runs; runs/index-study/DATA if left out"
    )
    parser.add_argument("--epochs", type=int, help="of every fit, at most")
    parser.add_argument("--width", type=int, help="of the generator")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--tokenizer", action="append", help="only these, of any kind; repeatable")
    parser.add_argument("--page", action="store_true", help="only write the page from the cards")
    parser.add_argument("--no-page", action="store_true", help="a trial: write no card and no page")
    asked = parser.parse_args()
    if not asked.page:
        from itemlm.config import parse_settings
        from itemlm.tokenize.by_name import check_tokenizer

        settings: dict[str, Any] = dict(parse_settings(asked.set))
        settings |= {n: getattr(asked, n) for n in ("epochs", "width") if getattr(asked, n)}
        folder = asked.folder or Path("runs") / "index-study" / asked.data
        check_same_settings(folder, {"data": asked.data, "settings": settings})
        names = asked.tokenizer or list(BY_NAME)
        for name in names:
            check_tokenizer(name)
        for name in names:
            measure(asked.data, name, settings, folder / name)
        found = card(asked.data, settings, folder)
        if asked.no_page:
            print("\n".join(section(found)))
            return
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"index-{asked.data}.json").write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), cards()), encoding="utf-8")


def check_same_settings(folder: Path, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings: the rows of a table must be comparable."""
    path = folder / "study.json"
    wanted = json.dumps(asked, indent=1, sort_keys=True)
    if path.exists() and path.read_text() != wanted:
        sys.exit(f"{folder} holds a study with other settings:\n{path.read_text()}\nGive --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(wanted)


if __name__ == "__main__":
    main()
