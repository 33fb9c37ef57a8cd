"""Texts of events, from a file beside the log."""

import polars as pl
import pytest

import itemlm
from itemlm.data.event_texts import event_texts
from itemlm.types import DataError

EVENTS = pl.DataFrame({"user_id": ["a", "a", "b"], "item_id": [1, 2, 1]})
DATA = itemlm.Dataset.build(EVENTS, name="three")


def test_each_event_gets_its_text(tmp_path):
    (tmp_path / "reviews.csv").write_text(
        "user_id,item_id,review,stars\nb,1,fine,5\na,2,good,4\na,2,again,4\na,9,not held,1\n"
    )
    found = event_texts(tmp_path / "reviews.csv", DATA, ("review", "summary"))
    assert found == {"review": ["", "good", "fine"]}


def test_a_file_without_texts_is_a_sentence(tmp_path):
    (tmp_path / "reviews.csv").write_text("user_id,item_id,stars\na,1,5\n")
    with pytest.raises(DataError, match="need user_id and item_id and some of: review"):
        event_texts(tmp_path / "reviews.csv", DATA, ("review",))
