"""Product quantization: a vector cut into pieces, one code for each; as it is, or turned first.

Residual codes refine each other, so the second means little without the first. Here every code
speaks of its own dimensions: codes stand side by side, and any of them can be predicted without
the others (as VQ-Rec and RPG do). Which dimensions go together decides what is lost: OPQ turns the
vectors such that pieces share as little as possible.

    pq      Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011.
    opq     Ge, He, Ke and Sun, "Optimized product quantization", CVPR 2013: starts from principal
            directions dealt to the pieces such that each gets the same share of log variance (their
            section 3.2), then k-means rounds and turns by SVD, one after the other (section 3.1).

Codewords of a piece are kept at full width with zeros elsewhere: nearest among those is nearest in
the piece, and they add up, so a residual `Quantizer` codes, restores and appends them as they are.
OPQ's turn is that quantizer's encoder, one linear layer, and its transpose the decoder.

Shapes      N items, D width, S pieces (levels), W width of a piece, K codes of a piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from itemlm.tokenize.kmeans import Vectors, fit_kmeans, moved, nearest
from itemlm.tokenize.quantizer import Quantizer, directions
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import SPARE, ItemTokens, unique
from itemlm.types import ConfigError, FloatArray

# Of OPQ. Four pieces of Amazon Beauty's LSA vectors lose 28, 17, 16 and 14 % of their variance
# after 0, 20, 30 and 50, those of MiniLM 52, 47, 47 and 46 %.
TURNS = 50


def pq(
    vectors_ND: FloatArray,
    levels: int = 4,
    codes: int = 256,
    seed: int = 0,
    *,
    spread: bool = True,
    spare: int = SPARE,
) -> ItemTokens:
    """Item tokens by k-means in each of `levels` pieces of the vectors.

    Args:
        vectors_ND: one vector per item; only directions matter.
        levels: pieces; one more level is added to make codes unique.
        codes: codes per piece; fewer where fewer pieces are distinct.
        seed: same seed, same tokens.
        spread: give items that tie the next best code of the last piece.
        spare: last codes to keep free for later items.

    Raises:
        ConfigError: if a setting is not positive, or vectors are too narrow for so many pieces.
        DataError: if there are no vectors or they are not finite.
    """
    direction_ND, mean_D = _centered(vectors_ND, levels, codes)
    pieces = _even_pieces(direction_ND.shape[1], levels)
    x_ND: Vectors = direction_ND - mean_D
    codebooks = _codebooks(x_ND, pieces, codes, seed)
    quantizer = Quantizer(mean_D=mean_D, scale_D=np.ones_like(mean_D), codebooks=codebooks)
    return _tokens(direction_ND, quantizer, seed, spread, spare)


def opq(
    vectors_ND: FloatArray,
    levels: int = 4,
    codes: int = 256,
    seed: int = 0,
    *,
    spread: bool = True,
    spare: int = SPARE,
) -> ItemTokens:
    """Item tokens by `pq` of vectors turned such that little is lost; the same settings."""
    direction_ND, mean_D = _centered(vectors_ND, levels, codes)
    x_ND: Vectors = direction_ND - mean_D
    pieces = _even_pieces(x_ND.shape[1], levels)
    # 1. Principal directions, dealt to the pieces. Codewords from k-means.
    turn_DD: Vectors = balanced_directions(x_ND, pieces)
    codebooks = _codebooks(x_ND @ turn_DD, pieces, codes, seed)
    for _ in range(TURNS):
        # 2. Codewords move to the means of their groups; what the codes restore ...
        restored_ND = np.zeros_like(x_ND)
        turned_ND = x_ND @ turn_DD
        for piece, codebook_KD in zip(pieces, codebooks, strict=True):
            part_NW, words_KW = _part(turned_ND, piece), _part(codebook_KD, piece)
            group_N, _ = nearest(part_NW, words_KW)
            codebook_KD[:, piece] = moved(words_KW, part_NW, group_N)
            restored_ND[:, piece] = codebook_KD[group_N, piece]
        # 3. ... is what the vectors are turned toward.
        left_DD, _, right_DD = np.linalg.svd(x_ND.T @ restored_ND)
        turn_DD = (left_DD @ right_DD).astype(np.float32)
    quantizer = Quantizer(
        mean_D=mean_D,
        scale_D=np.ones_like(mean_D),
        codebooks=codebooks,
        encoder=((turn_DD, np.zeros_like(mean_D)),),
        decoder=((turn_DD.T, np.zeros_like(mean_D)),),
    )
    return _tokens(direction_ND, quantizer, seed, spread, spare)


def balanced_directions(x_ND: Vectors, pieces: Sequence[slice]) -> Vectors:
    """[D, D] principal directions of centered vectors, in pieces of about equal log variance.

    The strongest direction comes first; each goes to the piece, among those with room, whose
    variances have the smallest product so far.
    """
    variance_D, direction_DD = np.linalg.eigh(x_ND.T @ x_ND / len(x_ND))
    strength_D = np.log(np.maximum(variance_D, 1e-10 * variance_D.max(initial=1e-10)))
    strength_D -= strength_D.min()  # so that a product grows with every direction
    room = [piece.stop - piece.start for piece in pieces]
    total, order = np.zeros(len(pieces)), [piece.start for piece in pieces]
    turn_DD = np.empty_like(direction_DD)
    for place in np.argsort(-variance_D, kind="stable"):
        chosen = int(np.where(np.array(room) > 0, total, np.inf).argmin())
        turn_DD[:, order[chosen]] = direction_DD[:, place]
        total[chosen] += strength_D[place]
        room[chosen] -= 1
        order[chosen] += 1
    return turn_DD.astype(np.float32)


def _centered(vectors_ND: FloatArray, levels: int, codes: int) -> tuple[Vectors, Vectors]:
    if levels < 1 or codes < 1:
        raise ConfigError(f"levels and codes must be at least 1, not {levels} and {codes}.")
    direction_ND = directions(vectors_ND)
    if direction_ND.shape[1] < levels:
        raise ConfigError(
            f"vectors of width {direction_ND.shape[1]} cannot be cut into {levels} pieces; choose "
            "fewer levels."
        )
    return direction_ND, direction_ND.mean(axis=0, dtype=np.float64).astype(np.float32)


def _even_pieces(width: int, count: int) -> list[slice]:
    ends = [round(width * piece / count) for piece in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _part(x_ND: Vectors, piece: slice) -> Vectors:
    return np.ascontiguousarray(x_ND[:, piece])


def _codebooks(
    x_ND: Vectors, pieces: Sequence[slice], codes: int, seed: int
) -> tuple[Vectors, ...]:
    codebooks = []
    for level, piece in enumerate(pieces):
        words_KW, _ = fit_kmeans(_part(x_ND, piece), codes, seed + level)
        codebook_KD = np.zeros((len(words_KW), x_ND.shape[1]), dtype=np.float32)
        codebook_KD[:, piece] = words_KW
        codebooks.append(codebook_KD)
    return tuple(codebooks)


def _tokens(
    direction_ND: Vectors, quantizer: Quantizer, seed: int, spread: bool, spare: int
) -> ItemTokens:
    codes_NS = quantizer.codes(direction_ND)
    if spread:
        codes_NS = spread_ties(
            codes_NS, lambda rows: quantizer.latents(direction_ND[rows]), quantizer.codebooks, seed
        )
    return unique(codes_NS, quantizer.levels, seed, spare=spare, quantizer=quantizer)
