"""Small saved models for the service's tests: 200 people, 60 films."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import itemlm
from itemlm.data.dataset import Dataset
from itemlm.recommender import Recommender


class Films(NamedTuple):
    """A dataset, and models fitted to it, in memory and in folders of their names."""

    data: Dataset
    knn: Recommender
    popularity: Recommender
    folder: Path

    @property
    def folders(self) -> dict[str, Path]:
        """The saved models by name; the first is active."""
        return {name: self.folder / name for name in ("knn", "popularity")}


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """The demo world in small, with itemknn as `knn` and popularity."""
    data = itemlm.world(users=200, items=60).dataset
    folder = tmp_path_factory.mktemp("films")
    knn = itemlm.fit("itemknn", data, quiet=True)
    popularity = itemlm.fit("popularity", data, quiet=True)
    knn.save(folder / "knn")
    popularity.save(folder / "popularity")
    return Films(data, knn, popularity, folder)
