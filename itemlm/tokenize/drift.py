"""Drift: how far a catalog has moved from the one that its tokens were fitted on.

Tokens that only grow get worse without anyone noticing: new items crowd under a few prefixes, lie
far from all codewords, share their semantic codes, fill last levels. The report compares two
versions of published tokens, and says when it is time to fit anew. There is no law for when that
is; a divergence near 0.1 or new items that lose half as much again as the old ones are worth it.

Shapes      N items, S semantic levels, P prefixes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.published import Published
from itemlm.tokenize.quantizer import Quantizer, directions
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import DataError, FloatArray, IntArray

if TYPE_CHECKING:
    from rich.table import Table

FAR = 0.95  # quantile of the known items' distances beyond which a new item counts as far


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Two versions of published tokens compared.

    Attributes:
        known, new, gone: items of both versions, of the second only and of the first only.
        changed: known items whose codes differ.
        divergence: per semantic level, Jensen-Shannon divergence in bits between the shares of
            items under each prefix: 0 the same use of codes, 1 nothing in common.
        colliding: share of items that share all codes but the last of their path, in both.
        full: prefixes whose last codes are all taken, in both; None where new items get no codes
            beside the others.
        least_room: free last codes under the fullest prefix, in both; None likewise.
        distance: mean squared distance from what was quantized to its codewords, of known and of
            new items; None without vectors or codebooks.
        far: share of new items farther from their codewords than 95 % of the known ones.
    """

    known: int
    new: int
    gone: int
    changed: int
    divergence: tuple[float, ...]
    colliding: tuple[float, float]
    full: tuple[int, int] | None
    least_room: tuple[int, int] | None
    distance: tuple[float, float | None] | None = None
    far: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain values."""
        return asdict(self)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table("", title="Drift of Semantic IDs", show_header=True)
        table.add_column("before", justify="right")
        table.add_column("after", justify="right")
        table.add_row("items", f"{self.known + self.gone:,}", f"{self.known + self.new:,}")
        table.add_row("new", "", f"{self.new:,}")
        table.add_row("gone", "", f"{self.gone:,}")
        table.add_row("known with other codes", "", f"{self.changed:,}")
        table.add_row("sharing all semantic codes", *(f"{share:.2%}" for share in self.colliding))
        for name, counts in (("full last levels", self.full), ("least room", self.least_room)):
            if counts is not None:
                table.add_row(name, *(f"{count:,}" for count in counts))
        for level, bits in enumerate(self.divergence, start=1):
            table.add_row(f"shift of prefixes, level {level}", "", f"{bits:.4f} bits")
        if self.distance is not None:
            known, new = self.distance
            new_cell = "" if new is None else f"{new:.4g} (new items)"
            table.add_row("squared distance to codewords", f"{known:.4g} (known)", new_cell)
        if self.far is not None:
            table.add_row("share that is far from them", "5.0% (known)", f"{self.far:.1%} (new)")
        return table


def drift(old: Published, new: Published, vectors_ND: FloatArray | None = None) -> Drift:
    """Compare two versions of published tokens.

    Args:
        old: before.
        new: after, with the same number of levels.
        vectors_ND: of the items of `new`, by the encoder that its tokens were fitted with.

    Raises:
        DataError: if the numbers of levels differ, or there is not one vector per item.
    """
    if len(old.tokens.levels) != len(new.tokens.levels):
        raise DataError(
            f"the versions have {len(old.tokens.levels)} and {len(new.tokens.levels)} levels, and "
            "cannot be compared prefix by prefix."
        )
    row_N = old.rows(new.items)
    known_N = row_N >= 0
    before, after = old.tokens.codes_NL, new.tokens.codes_NL
    changed_C = (before[row_N[known_N]] != after[known_N]).any(axis=1)
    rooms = [_rooms(version.tokens) for version in (old, new)]
    distance, far = None, None
    if vectors_ND is not None:
        if len(vectors_ND) != len(new.items):
            raise DataError(f"there are {len(new.items)} items but {len(vectors_ND)} vectors.")
        distance, far = _distances(new, vectors_ND, known_N)
    return Drift(
        known=int(known_N.sum()),
        new=int((~known_N).sum()),
        gone=len(old.items) - int(known_N.sum()),
        changed=int(changed_C.sum()),
        divergence=tuple(
            _divergence(before[:, :level], after[:, :level])
            for level in range(1, len(old.tokens.levels))
        ),
        colliding=(_colliding(old.tokens), _colliding(new.tokens)),
        full=_of_both(lambda room_P: int((room_P == 0).sum()), *rooms),
        least_room=_of_both(lambda room_P: int(room_P.min()), *rooms),
        distance=distance,
        far=far,
    )


def _divergence(one_NS: IntArray, other_NS: IntArray) -> float:
    """Jensen-Shannon divergence in bits between the shares of items under each prefix."""
    group = prefix_groups(np.concatenate([one_NS, other_NS]))
    prefixes = int(group.max()) + 1
    one_P = np.bincount(group[: len(one_NS)], minlength=prefixes) / len(one_NS)
    other_P = np.bincount(group[len(one_NS) :], minlength=prefixes) / len(other_NS)
    middle_P = (one_P + other_P) / 2
    return float(sum(_bits(share_P, middle_P) for share_P in (one_P, other_P)) / 2)


def _bits(share_P: FloatArray, of_P: FloatArray) -> float:
    used_P = share_P > 0
    return float((share_P[used_P] * np.log2(share_P[used_P] / of_P[used_P])).sum())


def _colliding(tokens: ItemTokens) -> float:
    group_N = prefix_groups(tokens.bodies_NL)
    return float(np.mean(np.bincount(group_N)[group_N] > 1))


def _rooms(tokens: ItemTokens) -> IntArray | None:
    """[P] free last codes under each prefix in use; None where new items get no such codes."""
    if tokens.quantizer is None:
        return None
    room_P: IntArray = tokens.levels[-1] - np.bincount(prefix_groups(tokens.bodies_NL))
    return room_P


def _of_both(
    measure: Callable[[IntArray], int], old_P: IntArray | None, new_P: IntArray | None
) -> tuple[int, int] | None:
    return None if old_P is None or new_P is None else (measure(old_P), measure(new_P))


def _distances(
    new: Published, vectors_ND: FloatArray, known_N: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[tuple[float, float | None] | None, float | None]:
    quantizer = new.tokens.quantizer
    if not isinstance(quantizer, Quantizer) or not known_N.any():
        return None, None
    codes_NS = new.tokens.semantic_codes
    latent_NH = quantizer.latents(directions(vectors_ND))
    for codebook_KH, code_N in zip(quantizer.codebooks, codes_NS.T, strict=True):
        latent_NH -= codebook_KH[code_N]
    distance_N = np.square(latent_NH).sum(axis=1)
    known = float(distance_N[known_N].mean())
    if known_N.all():
        return (known, None), None
    far = np.mean(distance_N[~known_N] > np.quantile(distance_N[known_N], FAR))
    return (known, float(distance_N[~known_N].mean())), float(far)
