"""Residual k-means of itemlm, whole or without the spreading of ties."""

from __future__ import annotations

import time

import common
import numpy as np
import reconstruction

from itemlm.tokenize.residual_kmeans import residual_kmeans

asked = common.settings()
vectors_ND = np.load(asked["vectors"])
began = time.perf_counter()
tokens = residual_kmeans(
    vectors_ND, asked["levels"], asked["codes"], spread=asked.get("spread", False)
)
seconds = time.perf_counter() - began
assert tokens.quantizer is not None
common.report(
    values={"seconds": seconds},
    quality=reconstruction.quality(vectors_ND, tokens.semantic_codes, tokens.quantizer.reconstruct),
    versions=("itemlm", "numpy"),
)
