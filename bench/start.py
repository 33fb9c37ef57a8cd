"""Seconds until `import itemlm` and `itemlm --help` are done, beside what peers take to import.

python bench/start.py
"""

from __future__ import annotations

from harness.race import Contender, Figure, Race

IMPORTS = {
    "implicit": "implicit.als",
    "cornac": "cornac",
    "rectools": "rectools.models",
    "replay": "replay.nn.sequential",
    "recbole": "recbole.quick_start",
    "lenskit": "lenskit.als",
}

FIGURE = Figure(
    name="start",
    title="Start",
    text=(
        "Wall time of a fresh process, the median of three after one that warms the disk's cache. "
        "itemlm loads what it needs when it is needed, so importing its SASRec, and PyTorch with "
        "it, stands beside it. For peers: importing the module that holds their models."
    ),
    races=(
        Race(
            name="import",
            measure="seconds",
            rounds=2,
            contenders=(
                Contender("itemlm", script="module", env="itemlm", settings={"module": "itemlm"}),
                Contender(
                    "itemlm's SASRec",
                    script="module",
                    env="itemlm",
                    settings={"module": "itemlm.papers.sequential.sasrec"},
                ),
                *(
                    Contender(name, script="module", env=name, settings={"module": module})
                    for name, module in IMPORTS.items()
                ),
            ),
            reach="itemlm below 0.5 s",
        ),
        Race(
            name="itemlm --help",
            measure="seconds",
            contenders=(
                Contender("itemlm --help", script="help"),
                Contender("python -c pass", script="help", settings={"only_python": True}),
            ),
            reach="below 0.3 s",
        ),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
