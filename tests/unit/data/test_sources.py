"""Public datasets by name: where they are looked for, what they carry, the real counts."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from itemlm.data.sources import TABLE, File, load, names
from itemlm.data.splits import LeaveOneOut
from itemlm.types import DataError, UnknownName


@pytest.fixture
def latest_small(tmp_path: Path) -> Path:
    """One user, three films, two ratings."""
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,10,0.5,200\n1,2,4.0,100\n"
    )
    films = "2,Jumanji (1995),Adventure\n10,Heat (1995),Crime\n11,M (1931),Crime\n"
    (folder / "movies.csv").write_text("movieId,title,genres\n" + films)
    return folder


# --- Looking for them -------------------------------------------------------------------------


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"no dataset 'ml100k'\. Did you mean 'ml-100k'"):
        load("ml100k")


def test_the_table_says_of_each_dataset_whose_it_is() -> None:
    amazon = ["amazon2014-beauty", "amazon2014-sports", "amazon2014-toys"]
    assert names() == [*amazon, "ml-100k", "ml-1m", "ml-latest-small"]
    for name, source in TABLE.items():
        assert source.name == name
        assert "research" in source.licence
        assert "redistribut" in source.licence
        assert all(file.url.startswith("https://") for file in source.files)


def test_every_dataset_carries_licence_release_and_traps(latest_small: Path) -> None:
    dataset = load("ml-latest-small", latest_small)
    assert "no commercial use" in dataset.licence
    assert "1 users, 3 items, 2 events, which is no published release" in dataset.notes[0]
    assert any("replaces this set" in note for note in dataset.notes)


def test_a_release_is_recognized_by_its_counts(
    latest_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(TABLE["ml-latest-small"], releases={"of today": (1, 3, 2)})
    monkeypatch.setitem(TABLE, "ml-latest-small", known)
    assert "release of today: 1 users" in load("ml-latest-small", latest_small).notes[0]


def test_a_folder_that_does_not_exist_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load("ml-100k", tmp_path / "nowhere")


def test_a_folder_that_lacks_files_says_which(latest_small: Path) -> None:
    (latest_small / "ratings.csv").unlink()
    with pytest.raises(DataError, match=r"lacks ratings\.csv; it holds movies\.csv"):
        load("ml-latest-small", latest_small)


def test_files_that_cannot_be_read_get_a_sentence(latest_small: Path) -> None:
    (latest_small / "ratings.csv").write_text("<html>Please log in</html>")
    with pytest.raises(DataError, match=r"could not read MovieLens latest, small in .*Replace the"):
        load("ml-latest-small", latest_small)


def test_the_data_folder_comes_before_the_cache_and_the_network(
    latest_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITEMLM_DATA", str(latest_small.parent))
    assert len(load("ml-latest-small").users) == 1
    latest_small.rename(latest_small.with_name("ml-latest-small-2016"))
    assert len(load("ml-latest-small").users) == 1


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no data folder, and a network where nothing is."""
    monkeypatch.delenv("ITEMLM_DATA", raising=False)
    monkeypatch.setenv("ITEMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("itemlm.data.download.time.sleep", lambda seconds: None)
    file = File(url="http://127.0.0.1:9/ml-latest-small.zip")
    source = replace(TABLE["ml-latest-small"], files=(file,))
    monkeypatch.setitem(TABLE, "ml-latest-small", source)
    return tmp_path / "cache"


def test_a_failed_download_says_how_to_place_the_files_by_hand(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError) as raised:
        load("ml-latest-small")
    message = str(raised.value)
    assert "http://127.0.0.1:9/ml-latest-small.zip" in message
    assert "$ITEMLM_DATA/ml-latest-small" in message
    # Before anything is downloaded, its licence is shown.
    assert "no commercial use without permission" in capsys.readouterr().err


def test_an_archive_in_the_cache_is_unpacked_once_and_read_without_the_network(
    cache: Path, latest_small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cache / "ml-latest-small"
    folder.mkdir(parents=True)
    archive = shutil.make_archive(
        str(folder / "ml-latest-small"), "zip", latest_small.parent, latest_small.name
    )
    assert len(load("ml-latest-small").items) == 3
    unpacked = folder / "ml-latest-small" / "ratings.csv"
    written = unpacked.stat().st_mtime_ns
    assert len(load("ml-latest-small").items) == 3
    assert unpacked.stat().st_mtime_ns == written
    assert Path(archive).exists()
    assert capsys.readouterr().err == ""


# --- The real ones ----------------------------------------------------------------------------

DATA = Path(os.environ.get("ITEMLM_DATA", "no such folder"))
TIED = {"amazon2014-beauty": 0.434, "ml-100k": 0.440}  # last event at the time of the one before


@pytest.mark.parametrize("name", list(TABLE))
def test_real_counts_are_as_published(name: str) -> None:
    if not any((DATA / folder).is_dir() for folder in (name, *TABLE[name].other_folders)):
        pytest.skip(f"ITEMLM_DATA is not set to a folder that holds {name}")
    dataset = load(name)
    assert dataset.notes[0].endswith("as published.")
    assert dataset.catalog["title"].null_count() < len(dataset.items) / 100
    test = dataset.split(LeaveOneOut()).test
    assert len(test) == len(dataset.users)
    if name in TIED:
        assert test.tie_share == pytest.approx(TIED[name], abs=0.005)


def test_real_beauty_keeps_the_published_order() -> None:
    folder = DATA / "amazon2014-beauty"
    if not (folder / "sequences.txt").exists():
        pytest.skip("ITEMLM_DATA is not set to a folder that holds amazon2014-beauty, prepared")
    items = pl.read_ndjson(folder / "items.jsonl")
    asins = dict(items.select("item_id", "asin").iter_rows())
    lines = (folder / "sequences.txt").read_text().splitlines()
    expected = [asins[int(number)] for line in lines for number in line.split()[1:]]
    assert load("amazon2014-beauty").events["item_id"].to_list() == expected
