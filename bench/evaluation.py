"""Seconds from a model and data in memory to Recall@10 and NDCG@10 of all users.

python bench/evaluation.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import data
from harness.race import Contender, Figure, Race


def prepared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The folder of the data."""
    return {"data": str(data.leave_last_out(settings["dataset"]))}


BOUND = (
    "With four threads it is 4 times, on one thread it was 5.3: RePlay's large products gain more "
    "from cores than our many small ones. Larger blocks for more cores gained nothing (medians "
    "0.26 and 0.27 s)."
)

FIGURE = Figure(
    name="evaluation",
    title="Evaluating SASRec",
    text=(
        "ML-1M, the last event of each user asked for. Every contender has a SASRec of the same "
        "size in memory (width 64, 2 blocks, 2 heads, feed-forward layers of 64, the last 50 "
        "events), untrained or nearly so, scores the whole catalog for all users, leaves out what "
        "they have seen, and computes Recall@10 and NDCG@10. Timed is the whole of that; the "
        "median of three runs in a process, after one to warm up. Our lists are checked against a "
        "full sort of all scores. RecBole does not leave out what was seen, which saves it some "
        "work. RePlay is timed in its validation loop, which makes no lists, and by frames "
        "(predict, then metrics of a pandas frame). 'itemlm report' is a whole itemlm.evaluate: "
        "six metrics at two cut-offs with intervals from a thousand bootstrap samples, slices, "
        "figures beyond accuracy, and the latency of 53 single questions."
    ),
    races=(
        Race(
            name="all users of ML-1M",
            measure="seconds",
            contenders=(
                Contender("itemlm"),
                Contender("itemlm report", script="itemlm", settings={"whole": True}),
                Contender("replay"),
                Contender("replay by frames", script="replay", settings={"frames": True}),
                Contender("rectools"),
                Contender("recbole"),
            ),
            settings={"dataset": "ml-1m", "length": 50, "batch": 256},
            quick={"dataset": "ml-100k", "length": 10},
            rounds=3,
            prepare=prepared,
            reach="5x the best peer",
            bound=BOUND,
        ),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
