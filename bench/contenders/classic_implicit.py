"""A classic model of implicit: fitted, and asked for everyone's ten items."""

from __future__ import annotations

import common
import fitting
import numpy as np
import scipy.sparse as sparse
import threadpoolctl
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender

settings = common.settings()
threadpoolctl.threadpool_limits(1, "blas")  # implicit's advice; it has threads of its own
offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users, items = len(targets_U), 1 + int(max(item_rows.max(), targets_U.max()))
taken_UN = sparse.csr_matrix(
    (np.ones(len(item_rows), np.float32), item_rows, offsets), shape=(users, items)
)
taken_UN.sum_duplicates()
taken_UN.data[:] = 1
threads = settings["threads"]


def fitted() -> AlternatingLeastSquares | CosineRecommender:
    if settings["model"] == "itemknn":
        model = CosineRecommender(K=settings["neighbors"], num_threads=threads)
    else:
        # It weighs unobserved pairs 1 and others alpha, and its regularization does not grow with
        # histories: ours on average, in its unit.
        unobserved = settings["unobserved"]
        explained = taken_UN.nnz / users + unobserved * items
        model = AlternatingLeastSquares(
            factors=settings["width"],
            iterations=settings["iterations"],
            alpha=1 / unobserved,
            regularization=settings["l2"] * explained / unobserved,
            random_state=0,
            use_gpu=False,
            num_threads=threads,
        )
    model.fit(taken_UN, show_progress=False)
    return model


again = {"recalculate_user": True} if settings.get("recalculate") else {}
fitting.report_twice(
    fitted,
    lambda model: model.recommend(np.arange(users), taken_UN, N=10, **again)[0],
    targets_U,
    versions=("implicit", "numpy"),
)
