"""A set of tokens written in one pass, beside a sequence of codes written by beam search.

python bench/set_decoding.py
"""

from __future__ import annotations

from harness.race import Contender, Figure, Race

SHAPE = {"width": 128, "blocks": 4, "heads": 2, "head_width": 64, "inner": 512}


def race(name: str, users: int, repeats: int) -> Race:
    """So many users at a time."""
    return Race(
        name=name,
        measure="ms/batch",
        settings={"users": users, "items": 10_000, "shape": SHAPE, "repeats": repeats},
        contenders=(
            Contender("itemlm setrec", script="setrec"),
            Contender("itemlm tiger, 10 beams", script="tiger", settings={"beams": 10}),
            Contender("itemlm tiger, 30 beams", script="tiger", settings={"beams": 30}),
        ),
        rounds=3,
        reach="15x of token sequences, as the SETRec paper reports for T5 and Qwen",
        bound=(
            "Not reached. Our beam search reads a history once for all beams and codes, in a "
            "transformer of the same small size, so that reading is a large share of both times; "
            "and SETRec reads 5 tokens an item, TIGER 4 codes."
        ),
        quick={"items": 1000, "repeats": 1},
    )


FIGURE = Figure(
    name="set_decoding",
    title="Writing sets instead of sequences",
    text=(
        "From the histories of users (20 items each) to their best 10 of 10k items, seen items "
        "left out, by SETRec and by TIGER's default: transformers alone, of the same width (128), "
        "4 blocks, 2 heads of 64, 512 inside, on the same machine and kernels. Weights, codes and "
        "vectors are random. SETRec writes one collaborative and four semantic tokens in one pass "
        "and scores every item with them; TIGER writes four codes one after the other by "
        "beam search over the trie. The lists differ, since the models do: only times are compared."
    ),
    races=(race("one user", 1, 30), race("64 users", 64, 10)),
)

if __name__ == "__main__":
    FIGURE.main()
