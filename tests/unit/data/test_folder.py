"""Folders that appear whole or not at all, and never over somebody's files."""

import pytest

from itemlm.data.folder import new_folder
from itemlm.types import ArtifactError


def write(path, name="manifest.json"):
    with new_folder(path) as folder:
        (folder / name).write_text("{}")


def test_a_folder_of_ours_is_replaced(tmp_path):
    write(tmp_path / "model")
    write(tmp_path / "model", "dataset.json")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["dataset.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # nothing is left aside


@pytest.mark.parametrize("other", ["thesis.txt", "events.csv"])
def test_files_of_others_are_never_replaced(tmp_path, other):
    write(tmp_path / "model")
    (tmp_path / "model" / other).write_text("years of work")
    with pytest.raises(ArtifactError, match="holds files that itemlm did not write"):
        write(tmp_path / "model")
    assert (tmp_path / "model" / other).read_text() == "years of work"
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "deep").mkdir()
    with pytest.raises(ArtifactError, match="choose a new folder"):
        write(tmp_path / "papers")


def test_a_failure_leaves_the_old_folder(tmp_path):
    write(tmp_path / "model")
    with pytest.raises(IsADirectoryError), new_folder(tmp_path / "model") as folder:
        folder.write_text("a folder is no file")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "manifest.json").exists()


def test_the_current_folder_can_be_named(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "events.csv").write_text("a")
    with pytest.raises(ArtifactError, match="did not write"):
        write(tmp_path.joinpath("here", "..", "here"))
    with pytest.raises(ArtifactError, match="is a file"):
        write(tmp_path / "here" / "events.csv")
