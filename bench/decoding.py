"""Beam search with what was read kept, beside beginning anew for every code.

python bench/decoding.py
"""

from __future__ import annotations

import beams
from harness.race import Contender, Figure, Race


def race(name: str, config: str, *plain: Contender) -> Race:
    """One of TIGER's two transformers."""
    return Race(
        name=name,
        measure="ms/batch",
        settings={"config": config, "items": 10_000, "beams": 30, "repeats": 10},
        contenders=(Contender("itemlm"), *plain),
        rounds=3,
        reach="5x the plain version, with identical lists",
        prepare=beams.prepare,
        quick={"items": 1000, "beams": 5, "repeats": 1},
    )


PLAIN = Contender("plain", script="plain", env="itemlm", settings={"repeats": 1})
ONCE = Contender(
    "plain, history read once", script="plain", env="itemlm", settings={"once": True, "repeats": 2}
)

FIGURE = Figure(
    name="decoding",
    title="Writing Semantic IDs",
    text=(
        "Beam search with 30 beams for 32 users of 20 items each (4 codes an item, 256 codes a "
        "level, 10k items), with the transformers of TIGER's two settings: our default, a decoder "
        "alone (width 128, 4 blocks, 2 heads of 64, 512 inside), and the published encoder-decoder "
        "(4 + 4 blocks, 6 heads of 64, 1024 inside). Weights are random, trie and search are the "
        "same; only how the model gets to the next code's logits differs. Plain: the training pass "
        "over the history and the codes so far, for every beam and code. History read once: the "
        "encoder's output is kept and copied per beam, but the decoder begins anew for every code. "
        "itemlm: the history is read once and never copied, and every code goes through the "
        "decoder once. Every run fails unless all lists hold the same items as the first run's, "
        "with scores within 0.0001."
    ),
    races=(
        race("decoder alone", "decoder", PLAIN),
        race("encoder-decoder", "encoder_decoder", PLAIN, ONCE),
    ),
)

if __name__ == "__main__":
    FIGURE.main()
