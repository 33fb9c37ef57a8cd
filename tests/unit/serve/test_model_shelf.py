"""Shelf: models are swapped whole, and what changed outlives swaps and restarts."""

import logging

import polars as pl
import pytest

import itemlm
from itemlm.serve.http.errors import ApiError
from itemlm.serve.shelf import Shelf, folder_names
from itemlm.serve.store import EventRow, open_store
from itemlm.types import ArtifactError, ConfigError

NEW = {"title": "Alien Again", "genres": ["horror", "science fiction"], "year": 2027}


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "service.db")
    yield opened
    opened.close()


@pytest.fixture
def opened(films, store, tmp_path):
    """Shelves over one store, as if the service was started again and again."""

    def shelf(folders=None, **more):
        folders = films.folders if folders is None else folders
        settings = {"encoder": "lsa", "cache": tmp_path / "vectors", "counts": {}, **more}
        return Shelf(folders, store, **settings)

    return shelf


def numbered(folder):
    """A saved model over another catalog, whose ids are numbers."""
    events = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 2], "timestamp": [1, 2, 3]})
    itemlm.fit("popularity", itemlm.Dataset.from_frames(events), quiet=True).save(folder)
    return folder


def damage(folder):
    """One byte of a saved model is another."""
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def ids(release):
    """All items that may be recommended."""
    return set(release.live.recommend([], k=1000).items)


# --- Which model answers --------------------------------------------------------------------------


def test_the_first_is_active_and_others_are_loaded_when_asked_for(opened):
    shelf = opened()
    assert (shelf.active.name, shelf.previous) == ("knn", None)
    assert shelf.loaded("popularity") is None
    assert shelf.release("popularity").live.paper == "popularity"
    assert shelf.active.name == "knn"
    assert shelf.release() is shelf.release("knn") is shelf.active
    assert shelf.names() == ["knn", "popularity"]
    assert shelf.manifest("popularity")["paper"] == "popularity"


def test_activating_and_rolling_back_hold_after_a_restart(opened, store):
    shelf = opened()
    with pytest.raises(ApiError, match="No other model was active before"):
        shelf.rollback()
    assert shelf.activate("popularity").name == "popularity"
    assert (shelf.active.name, shelf.previous) == ("popularity", "knn")
    again = opened()
    assert (again.active.name, again.previous) == ("popularity", "knn")
    assert again.rollback().name == "knn"
    assert (again.active.name, again.previous) == ("knn", "popularity")
    third = opened()
    assert (third.active.name, third.previous) == ("knn", "popularity")
    third.activate("knn")  # it is already
    assert [row.model for row in store.activations(9)] == ["knn", "popularity", "knn"]


def test_a_model_that_is_gone_after_a_restart_leaves_the_one_before(opened, films):
    shelf = opened()
    shelf.activate("popularity")
    again = opened({"knn": films.folder / "knn"})
    assert (again.active.name, again.previous) == ("knn", None)


def test_a_damaged_folder_leaves_the_active_one(opened, films, tmp_path):
    films.knn.save(tmp_path / "broken")
    damage(tmp_path / "broken")
    shelf = opened({**films.folders, "broken": tmp_path / "broken"})
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        shelf.activate("broken")
    assert (shelf.active.name, shelf.previous) == ("knn", None)
    assert opened().active.name == "knn"
    with pytest.raises(ArtifactError, match="not the file that was saved"):
        opened({"broken": tmp_path / "broken"})


def test_models_appear_in_a_folder_while_it_runs(opened, films, tmp_path):
    more = tmp_path / "more"
    shelf = opened(more=more)  # it need not exist yet
    assert shelf.names() == ["knn", "popularity"]
    films.popularity.save(more / "better")
    (more / ".hidden").mkdir()
    (more / "no-model").mkdir()
    assert shelf.names() == ["knn", "popularity", "better"]
    assert shelf.activate("better").live.paper == "popularity"
    assert opened(more=more).active.name == "better"


@pytest.mark.parametrize("name", ["nowhere", "../knn", "", "."])
def test_there_is_no_model_by_a_name_that_is_not_listed(opened, films, name):
    shelf = opened({"knn": films.folder / "knn"}, more=films.folder)
    with pytest.raises(ApiError, match="There are: knn, popularity") as caught:
        shelf.activate(name)
    assert caught.value.code == "not_found"


def test_few_models_stay_in_memory(opened, films):
    folders = dict.fromkeys("abcdef", films.folder / "popularity")
    shelf = opened(folders, keep=2)
    for name in "bcd":
        shelf.release(name)
    assert [name for name in folders if shelf.loaded(name)] == ["a", "c", "d"]
    shelf.activate("d")
    for name in "ef":
        shelf.release(name)
    # The active one and what a rollback needs stay, whatever else is asked for.
    assert {"a", "d", "f"} <= {name for name in folders if shelf.loaded(name)}


def test_folders_have_names(films, tmp_path):
    films.knn.save(tmp_path / "run" / "model")
    named = folder_names([tmp_path / "run", films.folder / "knn"])
    assert named == {"run": tmp_path / "run", "knn": films.folder / "knn"}
    assert list(folder_names([tmp_path / "run" / "model"])) == ["run"]
    with pytest.raises(ArtifactError, match="is not a saved recommender"):
        folder_names([tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="two models are called 'knn'"):
        folder_names([films.folder / "knn", films.folder / "knn"])


def test_a_service_needs_a_model(opened):
    with pytest.raises(ConfigError, match="at least one saved recommender"):
        opened({})


# --- Items that change ----------------------------------------------------------------------------


def test_changes_reach_all_models_and_outlive_restarts(opened):
    shelf = opened()
    shelf.release("popularity")
    shelf.change_items([("new", NEW), ("grease-1978", None)])
    shelf.change_items([("new", {"year": 2028}), ("alien-1979", {"price": 5})])
    swapped, again = opened(), opened()
    swapped.activate("popularity")
    for release in (
        shelf.active,
        shelf.loaded("popularity"),
        again.active,
        swapped.active,
        opened().active,
    ):
        assert "new" in ids(release)
        assert "grease-1978" not in ids(release)
        rows = release.catalog.items.rows(["new", "alien-1979"]).tolist()
        fields = release.fields(rows, ["title", "year", "price"])
        assert fields[0] == {"title": "Alien Again", "year": 2028, "price": None}
        assert fields[1] == {"title": "Alien", "year": 1979, "price": 5}


def test_what_comes_back_is_the_same_now_and_after_a_restart(opened):
    shelf = opened()
    shelf.change_items([("new", NEW), ("alien-1979", {"price": 5})])
    shelf.change_items([("new", None), ("alien-1979", None)])
    assert not {"new", "alien-1979"} & ids(shelf.active)
    assert not {"new", "alien-1979"} & ids(opened().active)
    shelf.change_items([("new", {"year": 2030}), ("alien-1979", {})])
    for release in (shelf.active, opened().active):
        assert {"new", "alien-1979"} <= ids(release)
        rows = release.catalog.items.rows(["new", "alien-1979"]).tolist()
        fields = release.fields(rows, ["title", "year", "price"])
        assert fields[0] == {"title": "Alien Again", "year": 2030, "price": None}
        assert fields[1] == {"title": "Alien", "year": 1979, "price": 5}


def test_changes_that_do_not_fit_another_catalog_are_left_out(opened, films, tmp_path, caplog):
    folders = {"knn": films.folder / "knn", "numbers": numbered(tmp_path / "numbers")}
    shelf = opened(folders)
    shelf.change_items([("new", NEW), ("7", {"title": "Seven"}), ("2", None)])
    with caplog.at_level(logging.WARNING, logger="itemlm.serve"):
        other = shelf.activate("numbers")
    assert ids(other) == {1}  # 2 has left, nothing stands in for 7, and "new" is no number
    assert other.catalog.items.ids.to_list() == [1, 2, 7]
    assert "model 'numbers' leaves out 1 changed items" in caplog.text
    shelf.change_items([(8, {"year": "unknown"})])
    assert shelf.active.fields([3], ["year", "title"]) == [{"year": "unknown", "title": None}]
    assert shelf.rollback().fields([62], ["year"]) == [{"year": None}]  # its years are numbers


def test_what_cannot_be_applied_is_not_written_down(opened, monkeypatch):
    shelf = opened()
    monkeypatch.setattr("itemlm.serve.release.applied", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shelf.change_items([("new", NEW)])
    monkeypatch.undo()
    assert "new" not in shelf.active.catalog.items
    assert "new" not in opened().active.catalog.items


def test_popularity_is_counted_anew(opened, store):
    shelf = opened(counts={"alien-1979": 3})
    row = int(shelf.active.catalog.items.rows(["alien-1979"])[0])
    assert shelf.active.counts_N[row] == 3
    store.add_events([EventRow("e", "ann", None, "alien-1979", "view", 0)])
    shelf.reload_counts()
    assert shelf.active.counts_N[row] == 4
    shelf.reload_counts()
    assert shelf.active.counts_N[row] == 4
    assert opened(counts={"alien-1979": 3}).active.counts_N[row] == 4
