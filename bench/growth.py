"""How time grows with users, items and the length of histories: SASRec on the demo world.

python bench/growth.py
"""

from __future__ import annotations

from harness.race import Contender, Figure, Race

SMALLEST = {"users": 2_000, "items": 3_000, "length": 25}
TIMES = (1, 2, 4, 8)


def _race(job: str, axis: str) -> Race:
    return Race(
        name=f"{job}, {axis}",
        measure="seconds",
        settings={"job": job, **SMALLEST},
        quick={"users": 500, "items": 500},
        contenders=tuple(
            Contender(
                f"itemlm, {times} x {SMALLEST[axis]:,}",
                script="itemlm",
                settings={"axis": axis, "times": times},
            )
            for times in TIMES
        ),
        rounds=1,
        reach="linear" if axis != "length" else "as attention: a L + b L²",
    )


FIGURE = Figure(
    name="growth",
    title="Growth",
    text=(
        "Seconds of one training epoch (the second) and of the exact top-10 for every user, while "
        "one size grows and the others stay. Events come from the demo world, cut into histories "
        "of equal length, so that the number of events is users x length. Ratios are to the "
        "smallest size: 8 at eight times the size is linear growth."
    ),
    races=tuple(_race(job, axis) for job in ("training", "evaluation") for axis in SMALLEST),
)

if __name__ == "__main__":
    FIGURE.main()
