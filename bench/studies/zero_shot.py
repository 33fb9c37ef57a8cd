"""The zero-shot study: RecGPT learns one catalog and is asked about another, there and back.

python bench/studies/zero_shot.py --set width=64 --set blocks=2
python bench/studies/zero_shot.py --encoder all-MiniLM-L6-v2
python bench/studies/zero_shot.py --page            # only write the table of docs/papers/recgpt.md

Every question is asked twice: with the items of the history left out, and with them allowed, as the
paper asks. Beside RecGPT stand popularity (which counts the target's own events) and the nearest
texts of a history on the same vectors (which learns nothing but one number, on the source), and
RecGPT fitted on the target itself. Started again with the same settings, the study goes on where it
was stopped. What it finds goes to a card under bench/results/studies/.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness import machine

import itemlm
from itemlm.config import parse_settings
from itemlm.data.held_out import HeldOut
from itemlm.retrieve.exact import topk_in_blocks
from itemlm.text.describe import describe
from itemlm.train.validation import ndcg_at_10
from itemlm.types import FloatArray, IntArray, QueryBatch, TopK

BENCH = Path(__file__).parent.parent
RESULTS = BENCH / "results" / "studies"
PAGE = BENCH.parent / "docs" / "papers" / "recgpt.md"
BEGIN, END = "<!-- zero-shot: begin -->", "<!-- zero-shot: end -->"
KS = (1, 5, 10)
BATCH = 1024
DECAYS = (0.3, 0.5, 0.7, 0.9, 1.0)  # of an event's weight, one event further back
Z_95 = 1.96


class NearestTexts:
    """Recommends the items whose texts are close to those of the history, the newest most of all.

    Args:
        vectors_ND: of unit length.
        decay: weight of an event as a share of that of the one after it.
    """

    def __init__(self, vectors_ND: FloatArray, decay: float, length: int = 20) -> None:
        self.vectors_ND, self.decay, self.length = vectors_ND, decay, length

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k items of each query, exactly."""
        return topk_in_blocks(self._scores, batch, k, len(self.vectors_ND))

    def _scores(self, batch: QueryBatch) -> FloatArray:
        nothing = len(self.vectors_ND)
        rows_BT, lengths_B = batch.last_items(self.length, empty=nothing)
        padded_ND = np.vstack([self.vectors_ND, np.zeros_like(self.vectors_ND[:1])])
        age_BT = np.maximum(lengths_B[:, None] - 1 - np.arange(rows_BT.shape[1]), 0)
        state_BD = (padded_ND[rows_BT] * (self.decay**age_BT)[..., None]).sum(axis=1)
        scores_BN: FloatArray = (state_BD @ self.vectors_ND.T).astype(np.float32)
        return scores_BN


def asked(recommender: TopK, questions: HeldOut, *, masked: bool) -> dict[str, Any]:
    """Hit@k over all questions with half a 95 % interval, and how often the first place repeats."""
    queries = replace(questions.queries, exclude_seen=masked)
    rows_QK = np.concatenate(
        [
            recommender.topk(queries[start : start + BATCH], max(KS))[0]
            for start in range(0, len(queries), BATCH)
        ]
    )
    hit_QK = rows_QK == questions.target_rows[:, None]  # leave-one-out: one answer each
    made: dict[str, Any] = {}
    for k in KS:
        share = float(hit_QK[:, :k].any(axis=1).mean())
        half = Z_95 * float(np.sqrt(share * (1 - share) / len(hit_QK)))
        made[f"Hit@{k}"] = {"mean": share, "half": half}
    first_Q1 = np.arange(len(queries))[:, None]
    made["first place repeats"] = float(queries.holds(first_Q1, rows_QK[:, :1]).mean())
    return made


def measured(path: Path, recommender: TopK, questions: HeldOut) -> dict[str, Any]:
    """Both ways of asking, unless a file says that this is done."""
    if not path.exists():
        made = {
            "masked": asked(recommender, questions, masked=True),
            "unmasked": asked(recommender, questions, masked=False),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def study(
    names: tuple[str, str], encoder: str, settings: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Fit both, and ask both about the other."""
    load = machine.OtherLoad()
    splits = {name: itemlm.load(name).split(itemlm.LeaveOneOut()) for name in names}
    fitted: dict[str, Any] = {}
    for name in names:
        print(f"{time.strftime('%H:%M:%S')} fitting recgpt on {name}", flush=True)
        fitted[name] = itemlm.fit(
            "recgpt",
            splits[name].train,
            validation=splits[name].validation,
            folder=folder / name,
            encoder=encoder,
            **settings,
        )
    directions = []
    for source, target in (names, names[::-1]):
        print(f"{time.strftime('%H:%M:%S')} from {source} to {target}", flush=True)
        split, model = splits[target], fitted[source]
        # A pretrained encoder has made the same vectors when the target was fitted; one that was
        # fitted on the source has not.
        same = None if encoder == "lsa" else np.load(folder / target / "stages" / "vectors.npy")
        vectors_ND = model.encoder.encode(describe(split.train)) if same is None else same
        own_ND = np.load(folder / source / "stages" / "vectors.npy")
        decays = {
            decay: ndcg_at_10(NearestTexts(own_ND, decay), splits[source].validation.take(5000))
            for decay in DECAYS
        }
        decay = max(decays, key=lambda value: decays[value])
        moved = model.onto(split.train, vectors_ND)
        contestants: dict[str, TopK] = {
            "popularity": itemlm.fit("popularity", split.train),
            "nearest texts": NearestTexts(vectors_ND, decay),
            "recgpt, zero-shot": moved,
            "recgpt, fitted on the target": fitted[target],
        }
        directions.append(
            {
                "source": source,
                "target": target,
                "questions": len(split.test),
                "decay of nearest texts": decay,
                "codes seen in training": seen_codes(fitted[source], moved),
                "rows": {
                    name: measured(
                        folder / "rows" / f"{source} {target} {name}.json", model, split.test
                    )
                    for name, model in contestants.items()
                },
            }
        )
    return {
        "encoder": encoder,
        "settings": dict(settings),
        "directions": directions,
        "fit seconds": {name: fitted[name].card["fit seconds"] for name in names},
        "epochs": {name: len(fitted[name].card["history"]) for name in names},
        "itemlm": itemlm.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "other cores": load.cores(),
    }


def seen_codes(home: Any, moved: Any) -> float:
    """Share of the target's codes that some item of the source has on the same level."""
    shares = [
        np.isin(there, here).mean()
        for here, there in zip(home.codes_NL.T[:-1], moved.codes_NL.T[:-1], strict=True)
    ]
    return float(np.mean(shares))


# --- Writing --------------------------------------------------------------------------------------


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The tables of one card."""
    given = [f"--encoder {found['encoder']}"] if found["encoder"] != "lsa" else []
    given += [f"--set {name}={value}" for name, value in found["settings"].items()]
    lines = [" ".join(given[start : start + 5]) for start in range(0, len(given), 5)]
    yield "```bash\npython bench/studies/zero_shot.py " + " \\\n    ".join(lines) + "\n```\n"
    for one in found["directions"]:
        yield (
            f"From {one['source']} to {one['target']}, {one['questions']:,} questions. Of the "
            f"target's codes {one['codes seen in training']:.0%} occur in the source.\n"
        )
        heads = [f"Hit@{k}" for k in KS]
        both = " | ".join([*heads, *(f"{head}, repeats" for head in heads)])
        yield f"| | {both} | first repeats |"
        yield "|" + "---|" * (2 + 2 * len(KS))
        for name, row in one["rows"].items():
            cells = [
                f"{figure(row[kind][head]['mean'])} ± {figure(row[kind][head]['half'])}"
                for kind in ("masked", "unmasked")
                for head in heads
            ]
            yield f"| {name} | {' | '.join(cells)} | {row['unmasked']['first place repeats']:.0%} |"
        yield ""
    seconds = ", ".join(
        f"{name} {took:,.0f} s for {found['epochs'][name]} epochs"
        for name, took in found["fit seconds"].items()
    )
    yield (
        f"<small>itemlm {found['itemlm']}, {found['date']}; {found['machine']['processor']}; "
        f"fitting: {seconds}, while other processes used {found['other cores']:.1f} cores.</small>"
        "\n"
    )


def figure(value: float) -> str:
    """`.0123`, as in the field's tables."""
    return f"{value:.4f}".removeprefix("0")


def page(text: str, cards: list[Mapping[str, Any]]) -> str:
    """The page with the tables of all cards between its marks."""
    head, _, rest = text.partition(BEGIN)
    lines = [line for found in cards for line in table(found)]
    tables = "\n".join(lines) if lines else "Not measured yet.\n"
    return f"{head}{BEGIN}\n{tables}{END}{rest.partition(END)[2]}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", nargs=2, default=["amazon2014-beauty", "amazon2014-toys"])
    parser.add_argument("--encoder", default="lsa", help="as in RecGPT's settings")
    parser.add_argument("--name", help="of the encoder, for the card, where it is a folder")
    parser.add_argument("--folder", type=Path, help="of the runs; runs/zero-shot if left out")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--page", action="store_true", help="only write the page from the cards")
    given = parser.parse_args()
    if not given.page:
        name = given.name or given.encoder
        folder = given.folder or Path("runs") / "zero-shot" / name.replace("/", "-")
        found = study(tuple(given.data), given.encoder, parse_settings(given.set), folder)
        found["encoder"] = name
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"zero-shot-{name.replace('/', '-')}.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
    cards = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("zero-shot-*.json"))]
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), cards), encoding="utf-8")


if __name__ == "__main__":
    main()
