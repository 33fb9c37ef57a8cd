"""Every measurement of the service runs in its small version and records what the page shows."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"
pytest.importorskip("torch")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(BENCH))
    yield importlib.import_module
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("made-up")


def measured(name, cache, results):
    if name == "hostile":
        pytest.importorskip("schemathesis")
    command = [sys.executable, f"{BENCH}/serving/{name}.py", "--quick", "--results", str(results)]
    environment = os.environ | {"ITEMLM_BENCH": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(results.read_text())["figures"]
    return found


EXPECTED = {
    "throughput": {"p99 ms", "statuses", "times the product", "times the topk", "beside", "rate"},
    "swap": {"failed", "first s", "right"},
    "kill": {"lost", "twice", "acknowledged", "most s"},
    "overload": {"accepted since sent ms", "share refused", "without", "most MB", "seconds"},
    "soak": {"failed", "growth", "MB"},
    "hostile": {"cases", "failed", "tricks", "findings"},
    "fresh_item": {"median s", "most s", "in unfiltered slates"},
    "same_answers": {"different", "answers", "one by one", "16 at once"},
}
# However busy the machine is; aims of speed and memory are for a quiet one.
MUST_BE = {
    "swap": {"failed": 0},
    "kill": {"lost": 0, "twice": 0},
    "overload": {"without": 0},
    "soak": {"failed": 0},
    "hostile": {"failed": 0, "findings": []},
    "same_answers": {"different": 0},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_small_version_records_its_rows(name, modules, cache, tmp_path):
    found = measured(name, cache, tmp_path / "serving.json")
    values = {key: value for row in found["rows"] for key, value in row["values"].items()}
    assert set(values) >= EXPECTED[name]
    wanted = MUST_BE.get(name, {})
    assert {key: values[key] for key in wanted} == wanted
    assert found["name"] == name
    assert found["quick"]
    assert found["machine"]["cores"] >= 1
    for row in found["rows"]:
        assert row["what"]
        assert row["measured"]
        assert (row["met"] is None) == (row["aim"] == "")
    page = modules("serving.page").page(tmp_path / "serving.json")
    assert f"| {found['rows'][0]['what']} |" in page


def test_every_figure_is_on_the_page(modules):
    assert set(modules("serving.page").FIGURES) == set(EXPECTED)


def test_figures_are_merged_by_name(modules, tmp_path):
    figure = modules("serving.figure")
    file = tmp_path / "serving.json"
    one, other = (figure.Figure(name, name, "", lambda options: ()) for name in ("one", "other"))
    one.record(file, [figure.Row("speed", "1 per s", values={"rate": float("nan")})], 0.0, True)
    other.record(file, [], 0.0, True)
    one.record(file, [figure.Row("speed", "2 per s", "> 3", False)], 0.0, True)
    assert set(figure.findings(file)) == {"one", "other"}
    assert figure.findings(file)["one"]["rows"][0]["measured"] == "2 per s"


def test_latency_is_normal_again_when_a_whole_second_is(modules):
    load, overload = modules("serving.load"), modules("serving.overload")
    # Slow for 0.5 s, refused once at 0.6 s, then as always: normal from the window after that.
    times = [place / 20 for place in range(60)]
    moments = [(due, 0.9 if due < 0.5 else 0.01, abs(due - 0.6) > 1e-6) for due in times]
    assert overload.seconds_until_normal(load.Result(moments=moments), 0.02) == pytest.approx(0.75)
    slow = [(due, 0.9, True) for due in times]
    assert overload.seconds_until_normal(load.Result(moments=slow), 0.02) == float("inf")


def test_the_time_of_batches_in_between_is_interpolated(modules):
    throughput = modules("serving.throughput")
    batches = [0, 2, 0, 1, 0]  # two batches of 1, one of 3
    alone = {1: 1.0, 2: 3.0, 4: 5.0}  # seconds: one of 3 takes 4
    assert throughput.seconds_for(np.array(batches, dtype=float), alone) == pytest.approx(6)


@pytest.mark.parametrize(
    ("answer", "leak"),
    [
        (b"Traceback (most recent call last):", "a traceback"),
        (b'  File "<string>", line 1, in <module>', "a traceback"),
        (b"root:x:0:0:root:/root:/bin/bash", "a line of /etc/passwd"),
        (f"{BENCH.parent}/itemlm/serve/app.py".encode(), "a path of the machine"),
        (b"sqlite3.OperationalError: no such table", "a statement of the database"),
    ],
)
def test_leaks_are_recognized(answer, leak, modules):
    leaks = modules("serving.hostile").LEAKS
    assert leak in {name for name, pattern in leaks.items() if pattern.search(answer)}


def test_repeating_the_question_is_no_leak(modules):
    repeated = b'{"error": {"message": "There is no item \'../../etc/passwd\'."}}'
    assert not any(p.search(repeated) for p in modules("serving.hostile").LEAKS.values())
