"""Frames: Polars, lazy or not, and pandas, which is needed for nothing else."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from itemlm.data.dataset import Dataset
from itemlm.data.table import Table

# Two users, three items. Anna had 10, then 20; Ben had 20, then 30, then 10.
ROWS = [
    ("anna", 10, 1_500_000_000),
    ("ben", 20, 1_500_000_100),
    ("anna", 20, 1_500_000_200),
    ("ben", 30, 1_500_000_300),
    ("ben", 10, 1_500_000_400),
]
HEADER = ["user_id", "item_id", "timestamp"]


def assert_is_the_log(dataset: Dataset) -> None:
    assert dataset.events.with_columns(pl.col("timestamp") // 1000).rows() == [
        ROWS[0],
        ROWS[2],
        ROWS[1],
        ROWS[3],
        ROWS[4],
    ]


def test_lazy_frames_are_computed() -> None:
    frame = pl.LazyFrame(ROWS, schema=HEADER, orient="row")
    assert_is_the_log(Dataset.from_frames(frame))


def test_pandas_frames_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    log = pandas.DataFrame(ROWS, columns=list(HEADER))
    log["timestamp"] = pandas.to_datetime(log["timestamp"], unit="s", utc=True)
    assert_is_the_log(Dataset.from_frames(log))
    items = pandas.DataFrame(
        {
            "title": ["A", None, "C"],
            "price": pandas.array([1, None, 3], dtype="Int64"),
            "kind": pandas.Categorical(["x", "y", "x"]),
            "tags": [["t"], np.array(["u", "v"]), None],
            "mixed": [1, "one", None],
            "new": [True, False, True],
            "day": np.array(["2020-01-01", "NaT", "2020-01-03"], dtype="datetime64[s]"),
        },
        index=pandas.Index([10, 20, 30], name="item_id"),
    )
    catalog = Dataset.from_frames(log, items).catalog
    assert catalog.to_dict(as_series=False) == {
        "item_id": [10, 20, 30],
        "title": ["A", None, "C"],
        "price": [1, None, 3],
        "kind": ["x", "y", "x"],
        "tags": [["t"], ["u", "v"], None],
        "mixed": ["1", "one", None],
        "new": [True, False, True],
        "day": [datetime(2020, 1, 1), None, datetime(2020, 1, 3)],
    }


def test_pandas_ids_may_be_any_object() -> None:
    pandas = pytest.importorskip("pandas")
    ids = [("a", 1), ("b", 2)]
    users = [uuid.UUID(int=2), uuid.UUID(int=1)]
    dataset = Dataset.from_frames(pandas.DataFrame({"user": users, "item": ids}))
    assert dataset.items.ids.to_list() == ["('a', 1)", "('b', 2)"]
    assert dataset.users.ids.to_list() == [str(user) for user in reversed(users)]


def test_whole_floats_of_pandas_are_integers_again() -> None:
    # One missing value makes pandas turn a column of integers into floats.
    pandas = pytest.importorskip("pandas")
    log = pandas.DataFrame({"user": [1, 2, None], "item": [7, 8, 9]})
    dataset = Dataset.from_frames(log, on_error="drop")
    assert dataset.users.ids.to_list() == [1, 2]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import pandas
from itemlm.data.dataset import Dataset
log = pandas.DataFrame({"user": ["a", "b"], "item": pandas.Categorical(["x", "y"])})
print(Dataset.from_frames(log).items.ids.to_list())
"""
WITHOUT_PANDAS = """
import sys, polars
from itemlm.data.dataset import Dataset
Dataset.from_frames(polars.DataFrame({"user": [1, 2], "item": [1, 2]}))
print(sorted({"pandas", "torch", "matplotlib", "sklearn"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("program", "printed"), [(WITHOUT_PYARROW, "['x', 'y']"), (WITHOUT_PANDAS, "[]")]
)
def test_neither_pyarrow_nor_pandas_is_needed(program: str, printed: str) -> None:
    if "import pandas" in program:
        pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == printed, done.stderr


def test_a_row_remembers_its_line_when_others_have_gone() -> None:
    frame = pl.DataFrame({"x": [1, 2, 3]})
    table = Table(name="t", frame=frame, places=np.array([2, 5, 9]), unit="line", on_error="drop")
    left = table.reject(np.array([True, False, False]), "a 1", str)
    assert left.where(1) == "t, line 9"
    assert left.notes == ("t: dropped 1 row with a 1 (first: line 2).",)
