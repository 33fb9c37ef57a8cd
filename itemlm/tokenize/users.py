"""User codes: people described by a few codes, as items are by their Semantic IDs.

A user's vector is the mean of the vectors of what they took (or of what they wrote, where the
caller has such vectors), and residual k-means turns it into codes. Users may share all of them:
codes say what kind of reader somebody is, not who it is. ULMRec and TTDS put them into prompts.

Shapes      U users, N items, D width, S levels, E events.
"""

from __future__ import annotations

import numpy as np

from itemlm.data.sequences import Sequences
from itemlm.sparse import CSR
from itemlm.tokenize.quantizer import Quantizer, directions
from itemlm.tokenize.residual_kmeans import residual_quantizer
from itemlm.types import DataError, FloatArray, IntArray


def user_codes(
    vectors_UD: FloatArray, levels: int, codes: int, seed: int
) -> tuple[IntArray, Quantizer]:
    """Codes of users by residual k-means, and the quantizer that gives new users theirs.

    Args:
        vectors_UD: one vector per user; those of zeros take no part in making the codewords.
        levels, codes: so many codes per user, each one of so many.
        seed: same seed, same codes.

    Returns:
        codes_US, with -1 on every level where a user's vector is zero; and the quantizer.

    Raises:
        ConfigError: if a setting is not positive.
        DataError: if the vectors are not finite or all are zero.
    """
    known_U = np.asarray(vectors_UD).any(axis=1)
    if not known_U.any():
        raise DataError("no user has a vector other than zero, so there is nothing to group.")
    quantizer = residual_quantizer(vectors_UD[known_U], levels, codes, seed)
    codes_US = np.full((len(vectors_UD), levels), -1, dtype=np.int32)
    codes_US[known_U] = quantizer.codes(vectors_UD[known_U])
    return codes_US, quantizer


def mean_vectors(sequences: Sequences, vectors_ND: FloatArray) -> FloatArray:
    """[U, D] the mean direction of what each user took, as often as it was taken; 0 for nothing.

    Args:
        sequences: of the training part.
        vectors_ND: of the items.
    """
    direction_ND = directions(vectors_ND)
    taken_UN = CSR(sequences.offsets, sequences.item_rows, None, len(direction_ND))
    sum_UD = taken_UN.product(direction_ND)
    mean_UD: FloatArray = sum_UD / np.maximum(taken_UN.sizes, 1)[:, None]
    return mean_UD.astype(np.float32)
