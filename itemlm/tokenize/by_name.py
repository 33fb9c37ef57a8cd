"""Tokenizers by name, for settings and the command line."""

from __future__ import annotations

from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import FloatArray, UnknownName

NAMES = ("residual_kmeans", "rqvae", "random")


def item_tokens(
    name: str, vectors_ND: FloatArray, *, levels: int, codes: int, seed: int
) -> ItemTokens:
    """Item tokens by a tokenizer of `NAMES`.

    Raises:
        UnknownName: if there is no such tokenizer.
    """
    if name == "residual_kmeans":
        from itemlm.tokenize.residual_kmeans import residual_kmeans

        return residual_kmeans(vectors_ND, levels, codes, seed)
    if name == "rqvae":
        from itemlm.tokenize.rqvae import RQVAEConfig, rqvae

        return rqvae(vectors_ND, RQVAEConfig(levels=levels, codes=codes), seed)
    if name == "random":
        from itemlm.tokenize.random_ids import random_tokens

        return random_tokens(len(vectors_ND), levels, codes, seed)
    raise UnknownName("tokenizer", name, NAMES)
