"""Tokenizers by name, for settings and the command line.

Each row says how a tokenizer makes item tokens from what there is: the training part of a dataset,
and one vector per item where it asks for them. Nothing of a test may be among that: numbers given
in the order of whole sequences, say, would tell which item comes next.

Shapes      N items, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from itemlm.data.dataset import Dataset
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import FloatArray, UnknownName

if TYPE_CHECKING:
    from itemlm.tokenize.sequential import Order

PIECES_PER_CODE = 16  # of titles: a vocabulary of 4096 with the usual 256 codes
CLUSTERS = 20  # into which a cluster of co-occurrences is cut


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
        categories: the catalog's column of category paths; found by its name where None.
    """

    dataset: Dataset
    vectors: Callable[[], FloatArray]
    levels: int
    codes: int
    seed: int
    categories: str | None = None


def _residual_kmeans(material: Material) -> ItemTokens:
    from itemlm.tokenize.residual_kmeans import residual_kmeans

    return residual_kmeans(material.vectors(), material.levels, material.codes, material.seed)


def _balanced_kmeans(material: Material) -> ItemTokens:
    from itemlm.tokenize.balanced_kmeans import balanced_kmeans

    return balanced_kmeans(material.vectors(), material.levels, material.codes, material.seed)


def _pq(material: Material) -> ItemTokens:
    from itemlm.tokenize.product import pq

    return pq(material.vectors(), material.levels, material.codes, material.seed)


def _opq(material: Material) -> ItemTokens:
    from itemlm.tokenize.product import opq

    return opq(material.vectors(), material.levels, material.codes, material.seed)


def _rqvae(material: Material) -> ItemTokens:
    from itemlm.tokenize.rqvae import RQVAEConfig, rqvae

    config = RQVAEConfig(levels=material.levels, codes=material.codes)
    return rqvae(material.vectors(), config, material.seed)


def _rqvae_rotated(material: Material) -> ItemTokens:
    from itemlm.tokenize.gradients import rotated
    from itemlm.tokenize.rqvae import RQVAEConfig, rqvae

    # Turned gradients hold latents less to codewords: with a commitment of 0.25 they drift off.
    config = RQVAEConfig(
        levels=material.levels, codes=material.codes, gradient=rotated, commitment=1.0
    )
    return rqvae(material.vectors(), config, material.seed)


def _rqvae_uniform(material: Material) -> ItemTokens:
    from itemlm.tokenize.rqvae import RQVAEConfig, evenly, rqvae
    from itemlm.tokenize.uniform import spread_by_sinkhorn

    config = RQVAEConfig(
        levels=material.levels,
        codes=material.codes,
        choose_last=evenly,
        spread=spread_by_sinkhorn,
    )
    return rqvae(material.vectors(), config, material.seed)


def _letter(material: Material) -> ItemTokens:
    from itemlm.encode.behavior import behavior_vectors
    from itemlm.tokenize.letter import LetterConfig, letter
    from itemlm.tokenize.rqvae import RQVAEConfig

    config = LetterConfig(rqvae=RQVAEConfig(levels=material.levels, codes=material.codes))
    behavior_NH = behavior_vectors(material.dataset, config.rqvae.latent, material.seed)
    return letter(material.vectors(), behavior_NH, config, material.seed)


def _fsq(material: Material) -> ItemTokens:
    from itemlm.tokenize.fsq import fsq

    return fsq(material.vectors(), material.levels, material.codes, material.seed)


def _random(material: Material) -> ItemTokens:
    from itemlm.tokenize.random_ids import random_tokens

    items = len(material.dataset.items)
    return random_tokens(items, material.levels, material.codes, material.seed)


def _independent(material: Material) -> ItemTokens:
    from itemlm.tokenize.paths import independent

    return independent(len(material.dataset.items), material.seed)


def _sequential(order: Order) -> Callable[[Material], ItemTokens]:
    def tokenize(material: Material) -> ItemTokens:
        from itemlm.tokenize.sequential import sequential

        dataset = material.dataset
        return sequential(
            dataset.sequences, len(dataset.items), order, base=material.codes, seed=material.seed
        )

    return tokenize


def _title(material: Material) -> ItemTokens:
    from itemlm.tokenize.titles import title_tokens, titles_of

    size = PIECES_PER_CODE * material.codes
    return title_tokens(titles_of(material.dataset.catalog), size, material.seed)


def _collaborative(material: Material, *, own: bool = False) -> ItemTokens:
    from itemlm.tokenize.collaborative import collaborative_paths
    from itemlm.tokenize.paths import with_last_codes

    dataset = material.dataset
    clusters = min(CLUSTERS, material.codes)
    paths_NS, sizes = collaborative_paths(
        dataset.sequences, len(dataset.items), clusters, material.codes, material.seed
    )
    return with_last_codes(paths_NS, sizes, material.seed, own=own)


def _semantic(material: Material, *, own: bool = False) -> ItemTokens:
    from itemlm.tokenize.categories import category_paths
    from itemlm.tokenize.paths import with_last_codes

    paths_NS, sizes = category_paths(material.dataset.catalog, material.categories)
    return with_last_codes(paths_NS, sizes, material.seed, own=own)


TABLE: dict[str, Callable[[Material], ItemTokens]] = {
    "residual_kmeans": _residual_kmeans,
    "balanced_kmeans": _balanced_kmeans,
    "pq": _pq,
    "opq": _opq,
    "rqvae": _rqvae,
    "rqvae_rotated": _rqvae_rotated,
    "rqvae_uniform": _rqvae_uniform,
    "letter": _letter,
    "fsq": _fsq,
    "random": _random,
    "independent": _independent,
    "sequential": _sequential("user"),
    "sequential_time": _sequential("time"),
    "sequential_random": _sequential("random"),
    "sequential_short_to_long": _sequential("short_to_long"),
    "sequential_long_to_short": _sequential("long_to_short"),
    "title": _title,
    "collaborative": _collaborative,
    "collaborative+independent": partial(_collaborative, own=True),
    "semantic": _semantic,
    "semantic+independent": partial(_semantic, own=True),
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
