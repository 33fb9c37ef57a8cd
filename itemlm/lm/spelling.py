"""Spelling: every item as a word of a language model, and as the path of tokens of that word.

An item is a text, such as a number or a title or a row of tokens of its own. In prompts it stands
as that text; an answer writes the same tokens, and a search over these paths finds items only.

Shapes      N items, L tokens of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from itemlm.lm.language_model import LanguageModel
from itemlm.types import DataError, IntArray


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How items are written.

    Attributes:
        texts: of each item.
        codes_NL: the path of each item, as places in `tokens_by_level`; -1 after its end.
        tokens_by_level: for each level of the paths, the tokens that occur there.
    """

    texts: Sequence[str]
    codes_NL: IntArray
    tokens_by_level: Sequence[Tensor]


def spelling(texts: Sequence[str], lm: LanguageModel) -> Spelling:
    """Items written as these texts.

    Raises:
        DataError: if the tokens of one text are another's or begin them, so that a search could
            not tell where an answer ends.
    """
    paths = _paths(texts, lm)
    ordered = sorted(range(len(paths)), key=paths.__getitem__)
    for short, long in pairwise(ordered):
        if paths[long][: len(paths[short])] == paths[short]:
            raise DataError(
                f"for the language model, {texts[short]!r} (item {short}) begins {texts[long]!r} "
                f"(item {long}); write items so that none begins another, such as numbers with the "
                "same count of digits."
            )
    tokens_NL = np.full((len(paths), max(map(len, paths))), -1)
    for row, path in enumerate(paths):
        tokens_NL[row, : len(path)] = path
    codes_NL = np.full_like(tokens_NL, -1)
    levels = []
    for level, tokens_N in enumerate(tokens_NL.T):
        here_N = tokens_N >= 0
        used_V, codes_NL[here_N, level] = np.unique(tokens_N[here_N], return_inverse=True)
        levels.append(torch.from_numpy(used_V))
    return Spelling(texts=texts, codes_NL=codes_NL, tokens_by_level=levels)


def code_texts(codes_NL: IntArray, lm: LanguageModel, *, shared: bool = False) -> list[str]:
    """Items as rows of new tokens of the language model, one for each code.

    Args:
        codes_NL: the Semantic ID of each item, -1 after the end of a shorter one.
        lm: gets a new token for every code that occurs.
        shared: whether a code means the same on every level, and so is the same token.
    """
    names_NL = [
        [f"<{'' if shared else f'{level}_'}{code}>" for level, code in enumerate(row) if code >= 0]
        for row in codes_NL.tolist()
    ]
    lm.add_tokens(sorted({name for row in names_NL for name in row}))
    return ["".join(row) for row in names_NL]


def number_names(number_N: IntArray) -> list[str]:
    """Numbers as texts of which none begins another: all get as many digits as the largest."""
    first = 10
    while first + int(number_N.max(initial=0)) >= 10 * first:
        first *= 10
    return [str(first + number) for number in number_N.tolist()]


def _paths(texts: Sequence[str], lm: LanguageModel) -> list[list[int]]:
    """The tokens of each text, of one word after the other, as prompts are read."""
    words = [text.split() for text in texts]
    tokens = iter(lm.token_ids([word for row in words for word in row]))
    return [[token for _ in row for token in next(tokens)] for row in words]
