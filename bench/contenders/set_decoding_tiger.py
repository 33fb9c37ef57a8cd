"""TIGER with random weights: codes one after the other, by beam search over the trie."""

from __future__ import annotations

import sets
import torch

from itemlm.nn.code_transformer import DecoderOnly, Shape
from itemlm.papers.generative.tiger import Config
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.tokenize.random_ids import random_tokens

config = Config(length=sets.LENGTH, **sets.asked["shape"])
tokens = random_tokens(sets.asked["items"], config.levels, config.codes, seed=1)
model = DecoderOnly(
    torch.from_numpy(tokens.codes_NL.copy()), tokens.levels, config.length, Shape.of(config)
)
sets.race(
    CodeBeam(
        "tiger",
        model,
        tokens.codes_NL,
        sets.catalog,
        config,
        length=config.length,
        beams=sets.asked["beams"],
    )
)
