"""The ten nearest of 100,000 vectors under filters: how many are found, and how soon.

python bench/filters.py
"""

from __future__ import annotations

from harness.race import Contender, Figure, Race
from tokenizer import made


def _race(name: str, share: float) -> Race:
    return Race(
        name=name,
        measure="ms/query",
        settings={"items": 100_200, "queries": 200, "width": 256, "k": 10, "share": share},
        prepare=made,
        quick={"items": 5_200, "width": 32},
        contenders=(
            Contender("itemlm"),
            Contender("faiss, HNSW and selector", script="faiss", settings={"index": "HNSW32"}),
            Contender("faiss, IVF and selector", script="faiss", settings={"index": "IVF316,Flat"}),
        ),
        rounds=3,
        reach="Recall@10 1.0 under every filter",
    )


FIGURE = Figure(
    name="filters",
    title="Filters",
    text=(
        "Milliseconds per query for the ten nearest of the items that a filter allows, and the "
        "share of the true ten that are found. 200 queries are asked at once; vectors are those of "
        "the tokenizer's races, 256 wide, and the allowed items are drawn at random. itemlm "
        "chooses by the share of allowed items, and at this size all its answers are exact. "
        "FAISS's indexes are told which items are allowed (IDSelectorBitmap): HNSW with 32 links "
        "and efSearch 200, and an inverted file of 316 lists of which 32 are read. Building an "
        "index is not timed; itemlm builds none for so few items."
    ),
    races=(
        _race("all allowed", 1),
        _race("10 % allowed", 0.1),
        _race("1 % allowed", 0.01),
        _race("0.1 % allowed", 0.001),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
