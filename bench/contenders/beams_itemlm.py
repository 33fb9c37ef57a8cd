"""`CodeBeam` of itemlm over its encoder-decoder with a T5's weights.

With `free`, every code may follow every other: the same search without a trie.
"""

from __future__ import annotations

import statistics
from typing import Any

import codes
import common
import numpy as np
import polars as pl
import torch
from torch import Tensor

from itemlm.nn.code_transformer import EncoderDecoder, Shape
from itemlm.recommender import Catalog
from itemlm.retrieve.code_beam import CodeBeam, beam_search
from itemlm.sample.next_items import SequenceBatch
from itemlm.types import QueryBatch

asked = common.settings()
torch.set_num_threads(asked["threads"])
arrays = codes.load(asked["folder"])
codes_NL, histories_BT = arrays["codes_NL"], arrays["histories_BT"]
levels, vocabulary = codes_NL.shape[1], len(arrays["shared.weight"])


def model() -> EncoderDecoder:
    """Ours with the T5's weights: each level's part of the table is the whole vocabulary.

    A T5 does not divide the products of queries and keys by the root of a head's width, so our
    queries are that much longer; but it divides logits by the root of the width. Positions are
    zero, as the T5's biases are.
    """
    shape = Shape(**asked["shape"])
    made = EncoderDecoder(
        torch.from_numpy(codes_NL), [vocabulary] * levels, histories_BT.shape[1], shape
    )
    state = {name: torch.from_numpy(weights) for name, weights in arrays.items()}
    with torch.no_grad():
        made.positions.weight.zero_()
        vectors = state["shared.weight"]
        made.table.vectors.weight.copy_(torch.cat([vectors.repeat(levels, 1), vectors[:1]]))
        for output in made.table.outputs:
            output.weight.copy_(vectors * shape.width**-0.5)
        for kind, blocks in (("encoder", made.encoder), ("decoder", made.decoder)):
            for number, block in enumerate(blocks):
                prefix = f"{kind}.block.{number}.layer"
                parts = [("SelfAttention", block.attention, 0)]
                if kind == "decoder":
                    parts.append(("EncDecAttention", block.cross, 1))
                for name, attention, place in parts:
                    q, k, v, o = (
                        state[f"{prefix}.{place}.{name}.{letter}.weight"] for letter in "qkvo"
                    )
                    attention.query.weight.copy_(q * shape.head_width**0.5)
                    attention.key_value.weight.copy_(torch.cat([k, v]))
                    attention.output.weight.copy_(o)
                feed = f"{prefix}.{len(parts)}.DenseReluDense"
                block.feed.layers[0].weight.copy_(state[f"{feed}.wi.weight"])
                block.feed.layers[2].weight.copy_(state[f"{feed}.wo.weight"])
    return made


class Free:
    """Stands in for a level of the trie: all codes of the level may follow."""

    def __init__(self, level: int) -> None:
        self.max_children = (vocabulary - codes.SPECIAL) // levels
        first = codes.SPECIAL + level * self.max_children
        self.codes = torch.arange(first, first + self.max_children)

    def below(self, node_BK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Every code; nodes have no meaning here, and nothing is barred."""
        codes_BKM = self.codes.expand(*node_BK.shape, -1)
        return codes_BKM, codes_BKM, torch.zeros(())


histories = SequenceBatch(
    torch.from_numpy(histories_BT),
    torch.full((len(histories_BT),), histories_BT.shape[1]),
    torch.full(histories_BT.shape, -1),
)
queries = QueryBatch(
    offsets=np.arange(len(histories_BT) + 1) * histories_BT.shape[1],
    item_rows=histories_BT.ravel(),
    user_rows=np.full(len(histories_BT), -1),
    exclude_seen=asked.get("exclude_seen", False),
)
t5, beams = model().eval(), asked["beams"]
recommender = CodeBeam(
    "tiger",
    t5,
    codes_NL,
    Catalog(pl.DataFrame({"item_id": np.arange(len(codes_NL))})),
    None,
    length=histories_BT.shape[1],
    beams=beams,
)
free = [Free(level) for level in range(levels)]


@torch.inference_mode()
def search() -> Any:
    """Items and scores; codes and scores, if free."""
    if asked.get("free"):
        return beam_search(t5, histories, free, beams)
    return recommender.topk(queries, beams)


for _ in range(2):  # the first one is slower
    items_BK, scores_BK = search()
took = statistics.median(common.seconds(search, asked["repeats"]))
agrees = not asked.get("free") and not asked.get("exclude_seen")
common.report(
    values={"ms/batch": 1e3 * took, "users/s": len(queries) / took},
    quality=codes.agree(asked["folder"], items_BK, scores_BK) if agrees else {},
    versions=("torch",),
)
