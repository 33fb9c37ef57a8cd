"""EASE of Cornac: fitted, and asked for the ten items of one user after the other."""

from __future__ import annotations

import common
import fitting
import numpy as np
from cornac.data import Dataset
from cornac.models import EASE

settings = common.settings()
offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users = len(targets_U)
user_E = np.repeat(np.arange(users), np.diff(offsets))
names_E = zip(map(str, user_E), map(str, item_rows), np.ones(len(user_E)), strict=True)
dataset = Dataset.from_uir(list(dict.fromkeys(names_E)), seed=0)


def fitted() -> EASE:
    # Without posB=False it sets negative weights to zero, as no other library does.
    return EASE(lamb=settings["l2"], posB=False, verbose=False).fit(dataset)


def recommended(model: EASE) -> list[list[str]]:
    return [
        model.recommend(str(user), k=10, remove_seen=True, train_set=dataset)
        for user in range(users)
    ]


fitting.report_twice(
    fitted,
    recommended,
    targets_U,
    lists=lambda answers: np.array([[int(item) for item in answer] for answer in answers]),
    versions=("cornac", "numpy"),
)
