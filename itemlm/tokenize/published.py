"""Published tokens: Semantic IDs that others already use, carried over to a changed catalog.

Models are trained on codes and logs are full of them, so codes that have been published should not
change without need. Rows do change: another catalog has other items in another order. Published
tokens therefore know the ids of their items.

    grown       the known items keep their codes, new ones get theirs beside them
    refitted    codes made anew, and named such that as few as can be differ from the old ones;
                see `migration` for which did

Shapes      N items of a catalog, M new ones, O old ones, L levels, D width of vectors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from itemlm.data.vocabulary import Vocabulary
from itemlm.tokenize.tokens import ITEMS, ItemTokens
from itemlm.types import ArtifactError, ConfigError, FloatArray, IntArray, ItemId

LEAST_SAME = 0.75  # share of known items whose vectors must still get the same first code


@dataclass(frozen=True, eq=False)
class Published:
    """Item tokens and whose they are.

    Attributes:
        tokens: one row per item.
        items: their ids, in row order.
    """

    tokens: ItemTokens
    items: Vocabulary

    def save(self, path: str | Path) -> None:
        """Write a folder that `load` and `ItemTokens.load` read."""
        self.tokens.save(path, self.items.ids.to_list())

    @classmethod
    def load(cls, path: str | Path) -> Published:
        """Read a saved folder.

        Raises:
            ArtifactError: if it is no saved tokens, damaged, or does not say whose they are.
        """
        folder = Path(path)
        tokens = ItemTokens.load(folder)
        if not (folder / ITEMS).exists():
            raise ArtifactError(
                f"{folder} does not say whose codes it holds: it has no {ITEMS}. Make it with "
                "`itemlm tokenize fit`, or save tokens with `item_ids`."
            )
        text = (folder / ITEMS).read_bytes()
        manifest = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
        if hashlib.sha256(text).hexdigest() != manifest.get("items_checksum"):
            raise ArtifactError(f"{folder / ITEMS} is not what was saved. Copy the folder again.")
        return cls(tokens, Vocabulary(pl.Series(json.loads(text))))

    def rows(self, items: Vocabulary) -> IntArray:
        """[N] the row here of each item of a catalog, -1 for new ones."""
        return self.items.rows(items.ids.to_list())

    def codes_of(self, item_ids: Sequence[ItemId]) -> IntArray:
        """[..., L] the codes of items, all -1 for unknown ones."""
        return self.tokens.encode(self.items.rows(item_ids))

    def grown(self, items: Vocabulary, vectors_ND: FloatArray, seed: int = 0) -> Published:
        """Tokens of a changed catalog: known items keep their codes, new ones get theirs.

        Codes of items that have left are given to nobody in this step.

        Args:
            items: of the changed catalog.
            vectors_ND: of all its items, made by the item encoder that made the fitted vectors.
            seed: shuffles new items that tie.

        Raises:
            ConfigError: if the last level is full, these tokens do not come from vectors, or the
                vectors are none of the encoder that these tokens were fitted with.
            DataError: if the vectors are not finite or not of the fitted width.
        """
        row_N = self.rows(items)
        known = np.flatnonzero(row_N >= 0)
        quantizer = self.tokens.quantizer
        if quantizer is not None and len(known):
            first_known = quantizer.codes(vectors_ND[known])[:, 0]
            same = np.mean(first_known == self.tokens.codes_NL[row_N[known], 0])
            if same < LEAST_SAME:
                raise ConfigError(
                    f"only {same:.0%} of the known items' vectors still get their first code, so "
                    "these vectors are not of the encoder that the tokens were fitted with (LSA "
                    "fits anew to every catalog). Use the same encoder, or fit the tokens anew."
                )
        new = np.flatnonzero(row_N < 0)
        tokens = self.tokens.append(vectors_ND[new], seed) if len(new) else self.tokens
        row_N[new] = len(self.tokens) + np.arange(len(new))
        lineage = tokens.lineage
        if not len(new) and not np.array_equal(row_N, np.arange(len(self.tokens))):
            lineage = (*lineage, tokens.ancestor("append"))  # items have left, or moved
        return Published(replace(tokens, codes_NL=tokens.codes_NL[row_N], lineage=lineage), items)
