"""`itemlm doctor`: what it finds on this machine."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from itemlm.cli import doctor

EXTRAS = {
    "torch>=2.6; extra == 'torch'": "torch",
    "not-installed>=1; extra == 'chat'": "chat",
    "not-installed>=1; extra == 'dev'": "dev",
}


def test_versions_and_hardware_are_told(itemlm_json):
    found = itemlm_json("doctor")
    assert found["python"].startswith(platform.python_version())
    assert found["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert found["free disk GiB"] > 0
    assert found["BLAS"]


def test_people_are_told_the_same(itemlm):
    shown = itemlm("doctor").stdout
    assert np.__version__ in shown
    assert "download cache" in shown


def test_data_folders_are_found(itemlm_json, tmp_path, monkeypatch):
    monkeypatch.setenv("ITEMLM_DATA", str(tmp_path))
    monkeypatch.setenv("ITEMLM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "cache" / "ml-1m").mkdir(parents=True)
    found = itemlm_json("doctor")
    assert found["ITEMLM_DATA"] == str(tmp_path)
    assert found["datasets there"] == ["ml-100k", "ml-1m"]


def test_missing_extras_come_with_the_line_that_installs_them(itemlm, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: list(EXTRAS))

    def installed(name: str) -> str:
        if name == "not-installed":
            raise PackageNotFoundError(name)
        return version("numpy") if name == "torch" else version(name)

    monkeypatch.setattr(doctor, "version", installed)
    monkeypatch.setattr(doctor, "_torch", dict)
    result = itemlm("doctor")
    assert "pip install 'itemlm[chat]'" in result.stderr
    assert "[dev]" not in result.stderr
    assert "itemlm[torch]" not in result.stderr
