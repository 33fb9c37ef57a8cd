"""How well arrived items are recommended without training: stand-ins, measured on cold items.

python bench/studies/live_items.py RUN [RUN ...] --data amazon2014-beauty --encoder lsa

Each RUN is a saved recommender fitted on the training part of `ColdItems(share=0.05)`, for instance
by `itemlm compare sasrec tiger --data amazon2014-beauty --split cold-items`. Its cold items are
taken away from it, so that it knows as little of them as a model knows of an item that arrives in a
shop, and come back as arrived items of `itemlm.retrieve.live`. What is found goes to a card under
bench/results/studies/.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness import machine

import itemlm
from itemlm.encode.by_name import encoder_named
from itemlm.encode.lsa import LSA
from itemlm.recommender import Catalog, Recommender
from itemlm.retrieve.live import Live
from itemlm.retrieve.vector_index import VectorIndex
from itemlm.text.describe import describe
from itemlm.types import BoolArray, FloatArray, IntArray, QueryBatch

CARD = Path(__file__).parent.parent / "results" / "studies" / "live_items.json"
STAND_INS, WIDTH, K = 5, 128, 10  # as the service has them
BATCH = 512


class Known(Recommender):
    """A recommender over the first of its items, in another order.

    Args:
        base: knows all N items.
        row_N: the base's row of each item in the new order.
        known: how many of these are left.
    """

    def __init__(self, base: Recommender, row_N: IntArray, known: int) -> None:
        super().__init__(Catalog(base.catalog.table[row_N[:known].tolist()]), base.config)
        self.base, self.row_N, self.place_N = base, row_N, np.argsort(row_N)
        self.known_N = np.arange(len(row_N)) < known

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The best k of the known items."""
        allowed_N = self.known_N[self.place_N]
        if batch.allowed_N is not None:
            allowed_N = self._of_base(batch.allowed_N)
        allowed_BN = batch.allowed_BN
        if allowed_BN is not None:
            allowed_BN = np.stack([self._of_base(mask_N) for mask_N in allowed_BN])
        asked = replace(
            batch,
            item_rows=self.row_N[batch.item_rows],
            allowed_N=allowed_N,
            allowed_BN=allowed_BN,
        )
        rows_BK, scores_BK = self.base.topk(asked, k)
        return np.where(rows_BK < 0, -1, self.place_N[rows_BK]), scores_BK

    def _of_base(self, mask_K: BoolArray) -> BoolArray:
        mask_N = np.zeros(len(self.row_N), dtype=bool)
        mask_N[self.row_N[: len(mask_K)]] = mask_K
        return mask_N

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What the base learned."""
        return self.base.state()


def main() -> None:
    """Ask every run with and without stand-ins."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("runs", nargs="+", type=Path)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--encoder", default="lsa")
    asked = arguments.parse_args()
    dataset = itemlm.load(asked.data)
    test = dataset.split(itemlm.ColdItems(share=0.05)).test
    is_cold_N = test.train_counts_N == 0
    row_N = np.concatenate([np.flatnonzero(~is_cold_N), np.flatnonzero(is_cold_N)])
    place_N, known = np.argsort(row_N), int((~is_cold_N).sum())
    table = dataset.catalog[row_N.tolist()]
    texts = describe(table)
    is_lsa = asked.encoder == "lsa"
    encoder = LSA(width=WIDTH).fitted(texts[:known]) if is_lsa else encoder_named(asked.encoder)
    vectors_ND = encoder.encode(texts)
    vectors_ND /= np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-9)
    stand_ins_AM, similarity_AM = VectorIndex(vectors_ND).search(
        vectors_ND[known:], STAND_INS, np.arange(len(row_N)) < known
    )
    queries = replace(test.queries, item_rows=place_N[test.queries.item_rows])
    target_Q = place_N[test.target_rows]
    rows = []
    for run in asked.runs:
        base = Known(itemlm.load_recommender(run), row_N, known)
        none_N = np.zeros(len(row_N), dtype=bool)
        live = Live(base, Catalog(table), stand_ins_AM, similarity_AM, none_N)
        for words, model in (("known items alone", base), ("with stand-ins", live)):
            rows.append({"run": run.name, "asked": words, **found(model, queries, target_Q, known)})
            print(rows[-1], flush=True)
    card = json.loads(CARD.read_text()) if CARD.exists() else {}
    name = "lsa" if is_lsa else Path(asked.encoder).name
    card[f"{asked.data}, {name}"] = {"machine": machine.describe(), "rows": rows}
    CARD.write_text(json.dumps(card, indent=1) + "\n")


def found(
    model: Recommender, queries: QueryBatch, target_Q: IntArray, known: int
) -> dict[str, float]:
    """Recall@10 of all, of known and of arrived answers, and the places given to arrived items."""
    rows_QK = np.concatenate(
        [model.topk(queries[q : q + BATCH], K)[0] for q in range(0, len(queries), BATCH)]
    )
    hit_Q = (rows_QK == target_Q[:, None]).any(axis=1)
    arrived_Q = target_Q >= known
    out = {"places of arrived items": round(float((rows_QK >= known).mean()), 4)}
    for name, chosen_Q in (
        ("all", ~arrived_Q | arrived_Q),
        ("known", ~arrived_Q),
        ("arrived", arrived_Q),
    ):
        share, count = float(hit_Q[chosen_Q].mean()), int(chosen_Q.sum())
        out[f"R@10 {name}"] = round(share, 4)
        out[f"R@10 {name} +-"] = round(1.96 * (share * (1 - share) / count) ** 0.5, 4)
    return out


if __name__ == "__main__":
    main()
