"""Papers: one file per published system, each a function from a dataset to a recommender.

The table below is the whole registry. Every module in it has

    Config                       a frozen dataclass; `Config.as_published()` where it differs
    fit(dataset, config, run)    learns, and returns a Recommender
    restore(saved)               the Recommender back from its saved parts

`run` is a `Run` for papers whose Config has `patience`, since they train by epochs, and None for
others. Other packages add rows through the entry point group `itemlm.papers` (name = module).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from itemlm.types import MissingExtra, UnknownName

TABLE: dict[str, str] = {
    "popularity": "itemlm.papers.collaborative.popularity",
    "itemknn": "itemlm.papers.collaborative.itemknn",
    "ease": "itemlm.papers.collaborative.ease",
    "ials": "itemlm.papers.collaborative.ials",
    "sasrec": "itemlm.papers.sequential.sasrec",
    "tiger": "itemlm.papers.generative.tiger",
    "setrec": "itemlm.papers.generative.setrec",
    "recgpt": "itemlm.papers.generative.recgpt",
    "p5": "itemlm.papers.generative.p5",
    "how_to_index": "itemlm.papers.generative.how_to_index",
    "elmrec": "itemlm.papers.generative.elmrec",
    "semantic_pieces": "itemlm.papers.generative.semantic_pieces",
    "joint_search": "itemlm.papers.generative.joint_search",
    "duet": "itemlm.papers.generative.duet",
    "apao": "itemlm.papers.generative.apao",
    "onerec": "itemlm.papers.generative.onerec",
    "human_priors": "itemlm.papers.generative.human_priors",
    "mender": "itemlm.papers.generative.mender",
    "ttds": "itemlm.papers.generative.ttds",
    "lcrec": "itemlm.papers.generative.lcrec",
    "ulmrec": "itemlm.papers.generative.ulmrec",
}


def names() -> list[str]:
    """Every paper that can be fitted, ours first."""
    return [*TABLE, *(point.name for point in entry_points(group="itemlm.papers"))]


def get(name: str) -> ModuleType:
    """The module of a paper.

    Raises:
        UnknownName: if there is no such paper, with the nearest one.
        MissingExtra: if it needs PyTorch and PyTorch is not installed.
    """
    plugins = {point.name: point.value for point in entry_points(group="itemlm.papers")}
    path = TABLE.get(name) or plugins.get(name)
    if path is None:
        raise UnknownName("paper", name, names())
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingExtra(f"'{name}'", "torch") from error
        raise
