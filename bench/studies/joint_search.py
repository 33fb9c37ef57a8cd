"""The joint-search study: which vectors make codes that serve both search and recommendation.

python bench/studies/joint_search.py --set epochs=10 --set width=64
python bench/studies/joint_search.py --only content both_tasks --encoder all-MiniLM-L6-v2

One generator is fitted per kind of item vectors (Penha et al. 2025, section 4), with the same
settings and the same searches, and asked two things: what comes next (leave-one-out, items of the
history left out) and what was searched for (searches of the same kind as those that it learned
from, none of them among these). Started again with the same settings, the study goes on where it
was stopped. What it finds goes to `joint_search.json` in its folder.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

import itemlm
from itemlm.config import parse_settings
from itemlm.data.dataset import Dataset
from itemlm.data.held_out import HeldOut
from itemlm.papers.generative.joint_search import Config, Vectors
from itemlm.text.search_queries import Searches, search_queries
from itemlm.types import IntArray, QueryBatch, TopK

KS = (10, 30)
BATCH = 512
Z_95 = 1.96


def new_searches(dataset: Dataset, learned: int, seed: int) -> Searches:
    """At most one search per item that fitting, which makes `learned` per item, learns of none."""
    before = search_queries(dataset.catalog, learned, seed)
    after = search_queries(dataset.catalog, learned + 1, seed)
    known = {query for queries in before for query in queries}
    return Searches.of([[query for query in more if query not in known][:1] for more in after])


def recalls(model: TopK, queries: QueryBatch, answer_Q: IntArray) -> dict[str, dict[str, float]]:
    """Recall@k of questions with one answer each, with half a 95 % interval."""
    found_QK = np.concatenate(
        [
            model.topk(queries[start : start + BATCH], max(KS))[0]
            == answer_Q[start : start + BATCH, None]
            for start in range(0, len(queries), BATCH)
        ]
    )
    made = {}
    for k in KS:
        mean = float(found_QK[:, :k].any(axis=1).mean())
        half = Z_95 * (mean * (1 - mean) / len(found_QK)) ** 0.5
        made[f"R@{k}"] = {"mean": mean, "half": half}
    return made


def asked_in_words(searches: Searches, most: int, seed: int) -> tuple[QueryBatch, IntArray]:
    """A sample of searches by nobody in particular, and what they mean."""
    rng = np.random.default_rng(seed)
    count = min(most, len(searches.texts))
    chosen = np.sort(rng.choice(len(searches.texts), count, replace=False))
    queries = QueryBatch(
        offsets=np.zeros(count + 1, dtype=np.int64),
        item_rows=np.empty(0, dtype=np.int64),
        user_rows=np.full(count, -1),
        texts=[searches.texts[place] for place in chosen],
    )
    return queries, searches.meant_Q[chosen]


def study(
    name: str, kinds: Sequence[str], settings: Mapping[str, Any], questions: int, folder: Path
) -> dict[str, Any]:
    """Fit one generator per kind of vectors, and ask both questions."""
    split = itemlm.load(name).split(itemlm.LeaveOneOut())
    learned = int(settings.get("queries", Config().queries))
    searches = asked_in_words(new_searches(split.train, learned, seed=0), questions, seed=0)
    test: HeldOut = split.test.take(questions)
    found: dict[str, Any] = {}
    for kind in kinds:
        print(f"{time.strftime('%H:%M:%S')} {kind}", flush=True)
        model = itemlm.fit(
            "joint_search",
            split.train,
            validation=split.validation,
            folder=folder / kind,
            **{**settings, "vectors": kind},
        )
        found[kind] = {
            "search": recalls(model, *searches),
            "recommendation": recalls(model, test.queries, test.target_rows),
            "seconds": model.card["fit seconds"],
        }
        print(json.dumps(found[kind]), flush=True)
    return {
        "data": name,
        "settings": dict(settings),
        "searches": len(searches[1]),
        "questions": len(test),
        "found": found,
    }


def table(card: Mapping[str, Any]) -> str:
    """The study as a Markdown table."""
    lines = [
        "| vectors | search R@10 | R@30 | recommendation R@10 | R@30 | fit s |",
        "|---|---|---|---|---|---|",
    ]
    for kind, of_kind in card["found"].items():
        cells = [
            f"{value['mean']:.4f} ± {value['half']:.4f}"
            for task in ("search", "recommendation")
            for value in of_kind[task].values()
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} | {of_kind['seconds']:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run, print the table and keep the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="amazon2014-beauty")
    parser.add_argument("--only", nargs="+", choices=get_args(Vectors), default=get_args(Vectors))
    parser.add_argument("--encoder", default="lsa")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=Path("reports/joint-search"))
    asked = parser.parse_args()
    settings = {**parse_settings(asked.set), "encoder": asked.encoder}
    card = study(asked.data, asked.only, settings, asked.questions, asked.folder)
    (asked.folder / "joint_search.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
    print(table(card))


if __name__ == "__main__":
    main()
