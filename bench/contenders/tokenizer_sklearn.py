"""MiniBatchKMeans of scikit-learn on residuals, level by level."""

from __future__ import annotations

import time

import common
import numpy as np
import reconstruction
from sklearn.cluster import MiniBatchKMeans

asked = common.settings()
vectors_ND = np.load(asked["vectors"])
began = time.perf_counter()
residual_ND = vectors_ND.copy()
codebooks, columns = [], []
for level in range(asked["levels"]):
    model = MiniBatchKMeans(asked["codes"], batch_size=asked["batch"], random_state=level)
    columns.append(model.fit_predict(residual_ND))
    codebooks.append(model.cluster_centers_)
    residual_ND -= model.cluster_centers_[columns[-1]]
seconds = time.perf_counter() - began


def decode(codes_RS: np.ndarray) -> np.ndarray:
    pairs = zip(codebooks, codes_RS.T, strict=True)
    return sum(codebook_KD[code_R] for codebook_KD, code_R in pairs)


common.report(
    values={"seconds": seconds},
    quality=reconstruction.quality(vectors_ND, np.column_stack(columns), decode),
    versions=("scikit-learn", "numpy"),
)
