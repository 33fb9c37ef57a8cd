"""Tokenizers by name, for settings and the command line.

Each row says how a tokenizer makes item tokens from what there is: the training part of a dataset,
and one vector per item where it asks for them. Nothing of a test may be among that: numbers given
in the order of whole sequences, say, would tell which item comes next.

Shapes      N items, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from itemlm.data.dataset import Dataset
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import FloatArray, UnknownName


@dataclass(frozen=True, kw_only=True)
class Material:
    """What tokenizers make item tokens from.

    Attributes:
        dataset: the training part.
        vectors: gives vectors_ND; called by tokenizers of vectors alone, since making them may
            take long.
        levels: codes with meaning, where a tokenizer can choose; one more may keep items apart.
        codes: different codes of a level, likewise.
        seed: of everything random.
    """

    dataset: Dataset
    vectors: Callable[[], FloatArray]
    levels: int
    codes: int
    seed: int


def _residual_kmeans(material: Material) -> ItemTokens:
    from itemlm.tokenize.residual_kmeans import residual_kmeans

    return residual_kmeans(material.vectors(), material.levels, material.codes, material.seed)


def _rqvae(material: Material) -> ItemTokens:
    from itemlm.tokenize.rqvae import RQVAEConfig, rqvae

    config = RQVAEConfig(levels=material.levels, codes=material.codes)
    return rqvae(material.vectors(), config, material.seed)


def _random(material: Material) -> ItemTokens:
    from itemlm.tokenize.random_ids import random_tokens

    items = len(material.dataset.items)
    return random_tokens(items, material.levels, material.codes, material.seed)


TABLE: dict[str, Callable[[Material], ItemTokens]] = {
    "residual_kmeans": _residual_kmeans,
    "rqvae": _rqvae,
    "random": _random,
}
NAMES = tuple(TABLE)


def check_tokenizer(name: str) -> None:
    """Refuse a name that no tokenizer has.

    Raises:
        UnknownName: with the nearest one.
    """
    if name not in TABLE:
        raise UnknownName("tokenizer", name, NAMES)


def item_tokens(name: str, material: Material) -> ItemTokens:
    """Item tokens by a tokenizer of `NAMES`.

    Raises:
        UnknownName: if there is no such tokenizer.
    """
    check_tokenizer(name)
    return TABLE[name](material)
