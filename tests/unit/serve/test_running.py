"""From folders to a running service, and to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from itemlm.serve import running
from itemlm.serve.http.keys import hash_key
from itemlm.serve.running import open_service, run
from itemlm.serve.schemas import RecommendRequest
from itemlm.serve.settings import ServiceSettings
from itemlm.types import ArtifactError, ConfigError, UnknownName


@pytest.fixture
def home(tmp_path):
    return tmp_path / "a" / "home"


@pytest.fixture
def service(films, home):
    opened = open_service([films.folder / "knn"], home=home)
    yield opened
    opened.stop()


def settings(**given):
    return ServiceSettings.model_validate(given)


def test_a_service_keeps_what_it_makes_in_its_home(service, home):
    assert service.shelf.active.name == "knn"
    assert {path.name for path in home.iterdir()} >= {"service.db", "vectors"}
    assert service.title_column == "title"


def test_opening_brings_in_no_pytorch_for_a_model_without_it(films, home):
    code = (
        "import sys; from pathlib import Path; from itemlm.serve.running import open_service; "
        f"open_service([Path({str(films.folder / 'knn')!r})], home=Path({str(home)!r})).stop(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_where_the_system_does_not_say_which_cores_all_are_counted(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert running._cores() == os.cpu_count()


def test_stopping_twice_is_no_mistake(films, home):
    opened = open_service([films.folder / "knn"], home=home)
    opened.stop()
    opened.stop()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"shadow": "none"}, "shadow is 'none', but there is no such model. There are: knn."),
        (
            {"experiments": {"e": {"groups": {"a": "knn", "b": "tigre"}}}},
            "experiments.e.groups.b is 'tigre', but there is no such model",
        ),
        ({"scenarios": {"s": {"model": "none"}}}, "scenarios.s.model is 'none'"),
        ({"scenarios": {"s": {"filter": "yeer > 5"}}}, "scenario 's': .*year"),
        ({"scenarios": {"s": {"boost": [{"when": "(", "by": 2}]}}}, "scenario 's': "),
        ({"scenarios": {"s": {"max_per": {"directer": 1}}}}, "'directer'. Did you mean 'director'"),
        (
            {"experiments": {"e": {"groups": {"a": "knn", "b": "knn"}, "scenario": "x"}}},
            "experiment 'e' is for scenario 'x', which is not set",
        ),
    ],
)
def test_settings_that_could_never_be_answered_are_a_sentence(films, home, given, sentence):
    with pytest.raises((ConfigError, UnknownName), match=sentence):
        open_service([films.folder / "knn"], home=home, settings=settings(**given))
    open_service([films.folder / "knn"], home=home).stop()  # nothing was left open


def test_models_that_settings_name_stay_in_memory(films, home):
    folders = [films.folder / "knn", films.folder / "popularity"]
    opened = open_service(folders, home=home, settings=settings(shadow="popularity"))
    assert opened.shelf.loaded("popularity") is not None
    opened.stop()


def test_without_a_model_there_is_no_service(home, tmp_path):
    with pytest.raises(ArtifactError, match="is not a saved recommender"):
        open_service([tmp_path / "nowhere"], home=home)
    with pytest.raises(ConfigError, match="at least one saved recommender"):
        open_service([], home=home)


def test_settings_come_from_a_file(tmp_path):
    path = tmp_path / "service.toml"
    path.write_text('[limits]\nmax_k = 7\n[scenarios.home]\nk = 3\nfilter = "year > 1990"\n')
    read = ServiceSettings.read(path)
    assert read.limits.max_k == 7
    assert read.scenarios["home"].filter == "year > 1990"
    for text, sentence in [
        ("[limits]\nmaxk = 7", r"service.toml: limits.maxk: "),
        ("[limits]\nmax_k = 0", r"limits.max_k: .*greater than or equal to 1"),
        ("[limits", r"service.toml is not TOML"),
        (
            '[experiments.e]\ngroups = {a = "x", b = "y"}\nshares = {a = 1.0}',
            r"experiments.e: .*shares are given for a, but the groups are a, b",
        ),
    ]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=sentence):
            ServiceSettings.read(path)


# --- Listening ------------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_strangers_are_not_let_in_without_keys(service):
    with pytest.raises(ConfigError, match=r"reachable at 0\.0\.0\.0 without any API key"):
        run(service, host="0.0.0.0", port=free_port())


def test_a_port_that_is_taken_is_a_sentence(service):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: Address already in use. Choose"):
            run(service, port=port)
    service.store.add_key("shop", hash_key("secret"), ["read"])
    with pytest.raises(ConfigError, match=r"cannot listen at 203\.0\.113\.7"):
        run(service, host="203.0.113.7", port=free_port())


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_finishes_and_writes_everything_down(films, home, told):
    port = free_port()
    command = (sys.executable, "-m", "itemlm", "serve", films.folder / "knn", "--home", home)
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
        body = RecommendRequest(history=["alien-1979"], k=3).model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/v1/recommend", body, headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(told)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode in (0, -told), err
    assert "nothing was kept" not in err
    assert "Traceback" not in err
    assert f"knn answers for 60 items at http://localhost:{port}" in out
    opened = open_service([films.folder / "knn"], home=home)
    assert opened.store.counts().recommendations == 1
    opened.stop()
