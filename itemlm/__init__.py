"""itemlm: item language models, from a catalog and an event log to honest recommendations.

import itemlm

data = itemlm.load("demo")                        # or Dataset.from_files("events.csv", "items.csv")
model = itemlm.fit("itemknn", data)               # or "sasrec", "tiger"...
model.recommend(["the-godfather-1972"], k=5)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from itemlm.comparison import compare
    from itemlm.data.dataset import Dataset
    from itemlm.data.loading import load
    from itemlm.data.splits import ColdItems, GlobalTemporal, LeaveOneOut, UserHoldout
    from itemlm.data.world import world
    from itemlm.evaluation import Report, evaluate
    from itemlm.fitting import fit, load_recommender
    from itemlm.recommender import Recommender
    from itemlm.types import ItemlmError, Query, Slate

# Where each name of the front door lives. Imported on first use, so that `import itemlm` is quick
# and a missing optional dependency only matters to whoever uses it.
_HOMES = {
    "ColdItems": "itemlm.data.splits",
    "Dataset": "itemlm.data.dataset",
    "GlobalTemporal": "itemlm.data.splits",
    "ItemlmError": "itemlm.types",
    "LeaveOneOut": "itemlm.data.splits",
    "Query": "itemlm.types",
    "Recommender": "itemlm.recommender",
    "Report": "itemlm.evaluation",
    "Slate": "itemlm.types",
    "UserHoldout": "itemlm.data.splits",
    "compare": "itemlm.comparison",
    "evaluate": "itemlm.evaluation",
    "fit": "itemlm.fitting",
    "load": "itemlm.data.loading",
    "load_recommender": "itemlm.fitting",
    "world": "itemlm.data.world",
}

__all__ = [
    "ColdItems",
    "Dataset",
    "GlobalTemporal",
    "ItemlmError",
    "LeaveOneOut",
    "Query",
    "Recommender",
    "Report",
    "Slate",
    "UserHoldout",
    "compare",
    "evaluate",
    "fit",
    "load",
    "load_recommender",
    "world",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'itemlm' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
