"""Random Semantic IDs: the control that tells what meaningful codes are worth.

A generator trained on these learns which items follow which, but gets no help from likeness.

Shapes      N items, S levels.
"""

from __future__ import annotations

import numpy as np

from itemlm.tokenize.tokens import ItemTokens, unique
from itemlm.types import ConfigError


def random_tokens(count: int, levels: int = 3, codes: int = 256, seed: int = 0) -> ItemTokens:
    """Item tokens whose codes are drawn uniformly.

    Args:
        count: items.
        levels: random levels; one more makes codes unique, as with every tokenizer.
        codes: codes per level.
        seed: same seed, same tokens.

    Raises:
        ConfigError: if a count is not positive.
    """
    if min(count, levels, codes) < 1:
        raise ConfigError(
            f"count, levels and codes must be at least 1, not {count}, {levels} and {codes}."
        )
    codes_NS = np.random.default_rng(seed).integers(codes, size=(count, levels))
    return unique(codes_NS, (codes,) * levels, seed)
