"""Public datasets by name: where they come from, who may use them, how they are read.

    dataset = load("ml-100k")

The table below is all there is to it: a dataset is one row and one reading function. `load` looks
in a folder that it is given or in `$ITEMLM_DATA/<name>`, then in the download cache
(`$ITEMLM_CACHE`, else `~/.cache/itemlm`), and downloads from the official home last.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from itemlm.data.archive import unpack
from itemlm.data.dataset import Dataset
from itemlm.data.download import fetch
from itemlm.data.folder import cache_folder
from itemlm.data.sources import amazon2014, movielens
from itemlm.types import DataError, UnknownName


@dataclass(frozen=True, kw_only=True)
class File:
    """A file to download; `md5` or `sha256` where one is known."""

    url: str
    md5: str | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public dataset.

    Attributes:
        name: what users call it, and the name of its folder.
        title, home: for people.
        licence: who may use it for what, in a sentence.
        files: to download: plain files, or one zip archive, which is unpacked.
        read: the folder with the files, and the name, to a Dataset.
        releases: name of each published release -> its users, items and events.
        traps: what is known to go wrong with it.
        other_folders: further folder names to look for.
    """

    name: str
    title: str
    home: str
    licence: str
    files: tuple[File, ...]
    read: Callable[[Path, str], Dataset]
    releases: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    traps: tuple[str, ...] = ()
    other_folders: tuple[str, ...] = ()


_SNAP = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_AMAZON_LICENCE = (
    "Amazon reviews of 2014 (McAuley et al.): no licence is granted; used for research by custom, "
    "not to be redistributed."
)
_DAYS = (
    "Timestamps are whole days, so a user's last events often tie{share}; published files order "
    "ties by ASIN, which a model can learn. Shuffle them (the default of every split)."
)


def _amazon(name: str, title: str, counts: tuple[int, int, int], tied: str = "") -> Source:
    category = amazon2014.CATEGORIES[name]
    return Source(
        name=name,
        title=f"Amazon reviews 2014, {title}, 5-core",
        home="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        licence=_AMAZON_LICENCE,
        files=(
            File(url=f"{_SNAP}/reviews_{category}_5.json.gz"),
            File(url=f"{_SNAP}/meta_{category}.json.gz"),
        ),
        read=amazon2014.read,
        releases={"5-core of 2014": counts},
        traps=(_DAYS.format(share=tied),),
    )


_SOURCES = (
    _amazon(
        "amazon2014-beauty",
        "Beauty",
        (22_363, 12_101, 198_502),
        tied=" (the last two for 43.5 % of users)",
    ),
    _amazon("amazon2014-sports", "Sports and Outdoors", (35_598, 18_357, 296_337)),
    _amazon("amazon2014-toys", "Toys and Games", (19_412, 11_924, 167_597)),
    Source(
        name="ml-100k",
        title="MovieLens 100K",
        home="https://grouplens.org/datasets/movielens/100k/",
        licence="MovieLens 100K (GroupLens): research use only, no commercial use and no "
        "redistribution without permission.",
        files=(File(url=f"{_GROUPLENS}/ml-100k.zip", md5="0e33842e24a9c977be4e0107933c0723"),),
        read=movielens.read_100k,
        releases={"1998": (943, 1_682, 100_000)},
        traps=("People rated many films in one sitting, so the order within a day is chance.",),
    ),
    Source(
        name="ml-1m",
        title="MovieLens 1M, 5-core",
        home="https://grouplens.org/datasets/movielens/1m/",
        licence="MovieLens 1M (GroupLens): research use only, no commercial use and no "
        "redistribution without permission.",
        files=(File(url=f"{_GROUPLENS}/ml-1m.zip", md5="c4d9eecfca2ab87c1945afe126590906"),),
        read=movielens.read_1m,
        releases={"5-core of 2003": (6_040, 3_416, 999_611)},
        traps=(
            "People rated many films in one sitting, often several in a second: part of the order "
            "is the order of a web page.",
        ),
    ),
    Source(
        name="ml-latest-small",
        title="MovieLens latest, small",
        home="https://grouplens.org/datasets/movielens/latest/",
        licence="MovieLens latest-small (GroupLens): research use, redistribution under the same "
        "terms, no commercial use without permission.",
        # A rolling set: GroupLens may replace it. This is the release of September 2018.
        files=(
            File(
                url=f"{_GROUPLENS}/ml-latest-small.zip",
                sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
            ),
        ),
        read=movielens.read_latest_small,
        releases={"October 2016": (671, 9_125, 100_004), "September 2018": (610, 9_742, 100_836)},
        traps=("GroupLens replaces this set now and then: name the release beside any result.",),
        other_folders=("ml-latest-small-2016",),
    ),
)
# What readers raise on files that are cut, damaged or something else.
_UNREADABLE = (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, ValueError, SyntaxError)
TABLE: dict[str, Source] = {source.name: source for source in _SOURCES}


def names() -> list[str]:
    """Every public dataset that `load` knows."""
    return list(TABLE)


def load(name: str, folder: Path | str | None = None) -> Dataset:
    """A public dataset by its name, downloaded if need be.

    Args:
        name: one of `names()`.
        folder: where its files are, instead of looking for them.

    Raises:
        UnknownName: if there is no such dataset, with the nearest one.
        DataError: if files are missing or damaged, or cannot be downloaded.
    """
    if name not in TABLE:
        raise UnknownName("dataset", name, names())
    source = TABLE[name]
    place = _find(source, None if folder is None else Path(folder)) or _download(source)
    try:
        dataset = source.read(place, name)
    except _UNREADABLE as error:
        cause = str(error).partition("\n")[0]
        raise DataError(
            f"could not read {source.title} in {place}: {cause}. Replace the files with fresh "
            f"ones from {source.home}."
        ) from error
    notes = (_release(dataset, source), *source.traps, *dataset.notes)
    return replace(dataset, licence=source.licence, notes=notes)


def _find(source: Source, folder: Path | None) -> Path | None:
    """The folder that holds the files already, if there is one outside the cache."""
    if folder is not None:
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder} to read {source.title} from.")
        return folder
    if root := os.environ.get("ITEMLM_DATA"):
        for folder_name in (source.name, *source.other_folders):
            if (Path(root) / folder_name).is_dir():
                return Path(root) / folder_name
    return None


def _download(source: Source) -> Path:
    """The folder in the cache, filled from the official home where it is not yet."""
    cache = cache_folder()
    folder = cache / source.name
    if not all((folder / file.name).exists() for file in source.files):
        from rich.console import Console

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"Downloading {source.title} ({source.home}). {source.licence}")
    for file in source.files:
        path = fetch(
            file.url,
            folder / file.name,
            sha256=file.sha256,
            md5=file.md5,
            by_hand=f"fetch it by other means, set ITEMLM_DATA to a folder of yours, and put the "
            f"file (a zip archive unpacked) into $ITEMLM_DATA/{source.name}",
        )
        if path.suffix == ".zip":
            folder = path.with_suffix("")
            if not folder.is_dir():
                unpack(path, folder)
    return folder


def _release(dataset: Dataset, source: Source) -> str:
    """Which published release this is, by its counts."""
    counts = (len(dataset.users), len(dataset.items), len(dataset.sequences.item_rows))
    words = "{:,} users, {:,} items, {:,} events".format(*counts)
    for release, published in source.releases.items():
        if counts == published:
            return f"{source.title}, release {release}: {words}, as published."
    return f"{source.title}: {words}, which is no published release; do not compare with papers."
