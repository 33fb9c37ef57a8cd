"""Residual k-means: vectors to Semantic IDs without training a network; the default tokenizer.

The first code says which of 256 groups an item's vector falls into, the second which group what is
left over falls into, and so on, so that items that share a longer prefix are more alike. It needs
seconds and no PyTorch, and cannot collapse to a few codes as RQ-VAE can. Used at scale by OneRec
(Deng et al. 2025); found as good as or better than RQ-VAE by GRID (Ju et al. 2025).

Three choices were measured on Amazon Beauty with two text encoders. Vectors are reduced to
directions before they are centered: more nearest neighbors share the first code than with raw
vectors. Residuals are not normalized between levels, as GRID does: that evens out usage and leaves
fewer ties, but keeps less of the vectors with one encoder and no more with the other. Ties are
spread over the last semantic level (see `ties`), which makes every tuple unique there while the
variance lost grows by a tenth or less.

Shapes      N items, D width, S levels.
"""

from __future__ import annotations

import numpy as np

from itemlm.tokenize.kmeans import fit_kmeans
from itemlm.tokenize.quantizer import Quantizer, directions
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import SPARE, ItemTokens, unique
from itemlm.types import ConfigError, FloatArray


def residual_kmeans(
    vectors_ND: FloatArray,
    levels: int = 3,
    codes: int = 256,
    seed: int = 0,
    *,
    spread: bool = True,
    spare: int = SPARE,
    iterations: int = 100,
) -> ItemTokens:
    """Item tokens by k-means on the residuals of k-means.

    Args:
        vectors_ND: one vector per item; only directions matter.
        levels: semantic levels; one more is added to make codes unique.
        codes: codes per level; a level gets fewer where fewer vectors are distinct.
        seed: same seed, same tokens.
        spread: give items that tie the next best code of the last semantic level. Without, 11 to
            28 % of Amazon Beauty is told apart by the last level only, which means nothing.
        spare: last codes to keep free for later items.
        iterations: most rounds of each k-means.

    Raises:
        ConfigError: if a setting is not positive.
        DataError: if there are no vectors or they are not finite.
    """
    if levels < 1 or codes < 1:
        raise ConfigError(f"levels and codes must be at least 1, not {levels} and {codes}.")
    # 1. Compare directions, around their mean.
    direction_ND = directions(vectors_ND)
    mean_D = direction_ND.mean(axis=0, dtype=np.float64).astype(np.float32)

    # 2. Group what the codes before left over, level by level.
    residual_ND = direction_ND - mean_D
    codebooks, columns = [], []
    for level in range(levels):
        codebook_KD, code_N = fit_kmeans(residual_ND, codes, seed + level, iterations=iterations)
        codebooks.append(codebook_KD)
        columns.append(code_N)
        residual_ND = residual_ND - codebook_KD[code_N]
    codes_NS = np.column_stack(columns)

    # 3. Tell items apart: by the next best code where there is one, and by a last code else.
    if spread:
        codes_NS = spread_ties(codes_NS, direction_ND - mean_D, codebooks, seed)
    quantizer = Quantizer(mean_D=mean_D, scale_D=np.ones_like(mean_D), codebooks=tuple(codebooks))
    return unique(codes_NS, quantizer.levels, seed, spare=spare, quantizer=quantizer)
