"""What both contenders of `decoding` share: a random model of TIGER, a batch, and the search."""

from __future__ import annotations

import statistics
from typing import Any

import codes
import common
import numpy as np
import torch

from itemlm.nn.code_transformer import DecoderOnly, EncoderDecoder, Shape
from itemlm.papers.generative.tiger import Config
from itemlm.retrieve.branches import branches
from itemlm.retrieve.code_beam import CodeModel, beam_search
from itemlm.sample.next_items import SequenceBatch
from itemlm.tokenize.trie import Trie

CODES = 256
asked = common.settings()
torch.set_num_threads(asked["threads"])
arrays = codes.load(asked["folder"])
codes_NL = (arrays["codes_NL"] - codes.SPECIAL) % CODES  # counted within their level
histories_BT = torch.from_numpy(arrays["histories_BT"])


def model() -> DecoderOnly | EncoderDecoder:
    """The same random weights in every process."""
    torch.manual_seed(1)
    published = asked["config"] == "encoder_decoder"
    shape = Shape.of(Config.as_published() if published else Config())
    kind = EncoderDecoder if published else DecoderOnly
    sizes = [CODES] * codes_NL.shape[1]
    return kind(torch.from_numpy(codes_NL), sizes, histories_BT.shape[1], shape).eval()


@torch.inference_mode()
def race(contender: CodeModel) -> None:
    """Time the search with a model and report."""
    trie = Trie.build(codes_NL)
    levels = branches(trie, torch.device("cpu"))
    batch = SequenceBatch(
        histories_BT,
        torch.full((len(histories_BT),), histories_BT.shape[1]),
        torch.full_like(histories_BT, -1),
    )

    def search() -> tuple[Any, Any]:
        return beam_search(contender, batch, levels, asked["beams"])

    leaf_BK, score_BK = search()
    took = statistics.median(common.seconds(search, asked["repeats"]))
    rows_BK = trie.row_of_leaf[leaf_BK.numpy()]
    common.report(
        values={"ms/batch": 1e3 * took, "users/s": len(histories_BT) / took},
        quality=codes.agree(asked["folder"], np.asarray(rows_BK), score_BK.numpy()),
        versions=("torch",),
    )
