"""Reports: what is printed, kept and published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itemlm.data.held_out import HeldOut
from itemlm.evaluation import Cost, Report, evaluate
from itemlm.types import FloatArray, IntArray, QueryBatch, UnknownName

ITEMS, QUESTIONS = 40, 120
CURVES = {
    "sasrec": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5, "validation NDCG@10": 0.1}]
}


class Guess:
    """Ranks items by chance, some with a hint of the answer; may stop short or tie."""

    def __init__(self, held_out: HeldOut, hint: float, seed: int, short: int = 0) -> None:
        self.targets, self.hint, self.seed, self.short = held_out.target_rows, hint, seed, short

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        rng = np.random.default_rng([self.seed, int(batch.user_rows[0])])
        scores = rng.random((len(batch), ITEMS)).round(1 if self.seed == 9 else 9)
        scores[np.arange(len(batch)), self.targets[batch.user_rows]] += self.hint
        scores[:, 0] = -np.inf  # the history
        rows = np.argsort(-scores, axis=1)[:, :k]
        best = np.take_along_axis(scores, rows, axis=1)
        if self.short:
            rows[:, self.short :], best[:, self.short :] = -1, -np.inf
        return rows, best


@pytest.fixture(scope="module")
def report() -> Report:
    held_out = HeldOut(
        queries=QueryBatch(
            offsets=np.arange(QUESTIONS + 1),
            item_rows=np.zeros(QUESTIONS, dtype=np.int64),
            user_rows=np.arange(QUESTIONS),
        ),
        target_offsets=np.arange(QUESTIONS + 1),
        target_rows=np.arange(QUESTIONS) % ITEMS,  # item 0 is a repeat
        train_counts_N=np.arange(ITEMS) + 1,
        protocol="leave-one-out by hand",
        tied_Q=np.arange(QUESTIONS) % 5 < 2,  # 40 %
        part="test",
    )
    return evaluate(
        {
            "popularity": Guess(held_out, 0, 9),
            "sasrec": [Guess(held_out, 0.5, seed) for seed in (1, 2)],
            "<i>$x_1$ & co": Guess(held_out, 0.2, 4, short=6),
            "oracle": Guess(held_out, 1.0, 5),
        },
        held_out,
        catalog=pl.DataFrame(
            {"item_id": range(ITEMS), "genres": [["a"], ["a", "b"]] * (ITEMS // 2)}
        ),
        oracle="oracle",
        costs={
            "sasrec": Cost(fit_seconds=3, parameters=1000, epochs=9),
            "popularity": Cost(fit_seconds=0.1),
            "<i>$x_1$ & co": Cost(epochs=4),  # trained, and once only
        },
        bootstrap=100,
    )


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    report.to_html(path, title="A <test>", curves=CURVES)
    return path.read_text(encoding="utf-8")


def test_json_holds_everything_but_the_arrays(report: Report, tmp_path: Path) -> None:
    report.to_json(tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(report.to_dict()))
    conditions = found["conditions"]
    assert conditions["split"] == "leave-one-out by hand"
    assert re.fullmatch("[0-9a-f]{12}", conditions["fingerprint"])
    assert conditions["candidates"] == "full catalog"
    assert conditions["masking"].startswith("items of the history are left out")
    assert conditions["repeats"] == pytest.approx(3 / 120)
    assert set(conditions["versions"]) == {"itemlm", "python", "numpy", "polars"}
    sasrec = next(result for result in found["results"] if result["name"] == "sasrec")
    assert sasrec["metrics"]["NDCG@10"]["mean"] == report["sasrec"]["N@10"].mean
    assert sasrec["seeds"] == 2
    assert len(sasrec["by_seed"]["Recall@5"]) == 2
    assert "values" not in sasrec
    assert "lists" not in sasrec
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_failed_write_leaves_the_old_file(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.to_json(path)
    assert path.read_text(encoding="utf-8") == "old"


def test_the_terminal_shows_the_headline(report: Report) -> None:
    text = str(report)
    assert "120 test questions of 120 users, full catalog of 40 items, history left out" in text
    for heading in ("R@5", "N@5", "R@10", "N@10", "Δ", "best", "cover", "ms", "fit s"):
        assert heading in text
    figure = report["sasrec"]["N@10"]
    assert f"{figure.mean:.4f}".removeprefix("0") in text
    assert f"±{figure.half_width:.4f}".replace("±0", "±") in text
    assert "<i>$x_1$ & co" in text
    assert "head items" in text


def test_the_best_comes_first_and_the_oracle_above_it(report: Report) -> None:
    text = str(report)
    order = [text.index(f"\n {name}") for name in ("oracle", "sasrec", "<i>$x_1$", "popularity")]
    assert order == sorted(order)


def test_findings_say_who_is_better_and_cautions_what_to_doubt(report: Report) -> None:
    words = report.to_dict()
    findings, cautions = " ".join(words["findings"]), " ".join(words["cautions"])
    assert findings.startswith("sasrec has the highest NDCG@10: 0.")
    assert "of oracle" in findings
    assert "Worse than sasrec: " in findings
    assert "40.0% of the questions the answer has the same timestamp" in cautions
    assert "2.5% of the targets are already in the history" in cautions
    assert re.search(r"Equal scores.* popularity \(\d+%\)", cautions)
    assert "fewer than 10 items" in cautions
    assert "<i>$x_1$ & co (100.0%)" in cautions
    assert "One seed only: <i>$x_1$ & co." in cautions


def test_the_page_is_self_contained(page: str) -> None:
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_names_are_escaped_in_words_and_pictures(page: str) -> None:
    assert "<i>$x_1$" not in page
    assert page.count("&lt;i&gt;$x_1$ &amp; co") > 5
    assert "A &lt;test&gt;" in page
    svgs = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "&lt;i&gt;$x_1$ &amp; co" in svgs


def test_ids_in_the_page_are_unique_and_references_lead_somewhere(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_pictures_follow_the_color_scheme(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    svgs = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    # forest, differences, slices, lift, coverage, latency, fit, loss, validation
    assert len(svgs) == 9
    for svg in svgs:
        assert "var(--ink)" in svg or "var(--s1)" in svg
        assert not re.search(r"#(0[1-4]){3}|#1000", svg)  # no stand-in color is left


def test_the_page_states_the_protocol_and_every_section(report: Report, page: str) -> None:
    for heading in (
        "Who finds what people chose next?",
        "For whom, and for which items?",
        "What are the lists like?",
        "What does it cost?",
        "How did they learn?",
        "How the questions were asked",
        "How to read this page",
        "New targets only",
    ):
        assert heading in page
    assert report.conditions.fingerprint in page
    assert "column &#39;genres&#39;" in page


def test_a_page_of_one_recommender_without_baseline_or_catalog(tmp_path: Path) -> None:
    held_out = HeldOut(
        queries=QueryBatch(
            offsets=np.zeros(21, int), item_rows=np.empty(0, int), user_rows=np.arange(20)
        ),
        target_offsets=np.arange(21),
        target_rows=np.arange(20),
        train_counts_N=np.zeros(ITEMS, int),
        protocol="cold start",
        tied_Q=None,
        part="validation",
    )
    report = evaluate({"only": Guess(held_out, 0.5, 1)}, held_out, ks=(3,), bootstrap=100)
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "only has this NDCG@3" in page
    assert "How did they learn?" not in page
    assert "name one to see paired differences" in page
    assert "no timestamps, so unknown" in page
    assert "cold items" in str(report)


def test_unknown_names_are_refused(report: Report) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'sasrec'"):
        report["sasrek"]
