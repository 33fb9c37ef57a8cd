"""Models without a neural network: seconds to fit, and to recommend ten items to everyone.

python bench/classic.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import data
from harness.race import Contender, Figure, Race


def prepared(settings: Mapping[str, Any]) -> dict[str, str]:
    """The folder of the data."""
    return {"data": str(data.leave_last_out(settings["dataset"]))}


def race(name: str, contenders: tuple[Contender, ...], bound: str = "", **settings: Any) -> Race:
    """One kind of model on ML-1M."""
    return Race(
        name=name,
        measure="seconds",
        contenders=contenders,
        settings={"dataset": "ml-1m", **settings},
        quick={"dataset": "ml-100k"},
        rounds=3,
        prepare=prepared,
        reach="at least equal to the best peer",
        bound=bound,
    )


FIGURE = Figure(
    name="classic",
    title="Classic models",
    text=(
        "ML-1M, the last event of each user held out. Timed: fitting, then the ten best items for "
        "all 6,040 users without those of their histories, as arrays of rows (RecTools: as a "
        "frame of ids); 'seconds' is the sum. Not timed: reading, and making the matrix or dataset "
        "that a library fits on. EASE: the same l2 in all. RecTools 0.19 scores with its weights "
        "transposed, which is as much work and gives worse lists. ItemKNN: cosine over "
        "whole histories with 100 neighbors, our `Config.plain()`; RecTools wraps implicit's. Our "
        "default ItemKNN looks at order too and has no peer here. Cornac's ItemKNN is left out: it "
        "predicts ratings, and needs a minute to rank items for these users. iALS: 64 numbers per "
        "item, 16 iterations, conjugate gradients in both (2 steps in ours, 3 in implicit), the "
        "same weight of unobserved pairs; ours scales the regularization with the length of "
        "histories, implicit's is set to what ours is on average. implicit recommends from the "
        "users' vectors of its fit; ours solves for them anew from the histories, as implicit does "
        "in the second row. implicit runs threads of its own, with BLAS held to one, as its "
        "authors advise."
    ),
    races=(
        race(
            "EASE",
            (Contender("itemlm"), Contender("rectools"), Contender("cornac")),
            model="ease",
            l2=500.0,
        ),
        race(
            "ItemKNN, cosine",
            (Contender("itemlm"), Contender("implicit"), Contender("rectools")),
            bound=(
                "With four threads we are behind implicit, whose fit is C++ on all of them; two "
                "thirds of ours are NumPy on one. On one thread both took 2.4 s."
            ),
            model="itemknn",
            neighbors=100,
        ),
        race(
            "iALS",
            (
                Contender("itemlm"),
                Contender("implicit"),
                Contender(
                    "implicit, users anew", script="implicit", settings={"recalculate": True}
                ),
            ),
            bound=(
                "With four threads we are behind implicit, whose solver runs on all of them. On "
                "one thread ours was 1.6 to 1.8 times as fast in two of three rounds. Threads "
                "over groups of users gained nothing in NumPy."
            ),
            model="ials",
            width=64,
            iterations=16,
            unobserved=0.1,
            l2=0.001,
        ),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
