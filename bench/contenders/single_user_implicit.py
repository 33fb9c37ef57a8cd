"""Ten item rows for one user's row, by implicit, which knows no ids: mapping them is not timed."""

from __future__ import annotations

import asking
import common
import numpy as np
import scipy.sparse as sparse
import threadpoolctl
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender

settings = common.settings()
threadpoolctl.threadpool_limits(1, "blas")  # implicit's advice; it has threads of its own
offsets, item_rows, _ = common.load_sequences(settings["data"])
users = len(offsets) - 1
taken = sparse.csr_matrix(
    (np.ones(len(item_rows), np.float32), item_rows, offsets), shape=(users, item_rows.max() + 1)
)
taken.sum_duplicates()

if settings["model"] == "als":
    model = AlternatingLeastSquares(factors=64, iterations=3, random_state=0, use_gpu=False)
else:
    model = CosineRecommender(K=100)
model.fit(taken, show_progress=False)
again = {"recalculate_user": True} if settings.get("recalculate") else {}


def answer(user: int) -> list[int]:
    rows, _ = model.recommend(user, taken[user], N=10, **again)
    return rows.tolist()


asking.report_calls(answer, settings, (offsets, item_rows), versions=("implicit",))
