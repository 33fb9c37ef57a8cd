"""`itemlm steer`: the five axes for one saved recommender."""

from __future__ import annotations

AXES = ["recommendation", "fine", "coarse", "sentiment", "consolidation"]


def test_the_axes_as_json_and_as_a_table(itemlm, itemlm_json, data):
    itemlm("fit", "itemknn", "--data", data, "--protocol", "leave-one-out", "--out", "model")
    asked = ("steer", "model", "--data", data, "--questions", 30)
    found = itemlm_json(*asked)
    assert list(found) == AXES
    assert found["fine"]["with words"] == found["fine"]["without"]
    result = itemlm(*asked)
    assert all(axis in result.stdout for axis in AXES)
    assert "'itemknn' does not read the text of a query" in result.stderr
    assert "seen the answers" not in result.stderr


def test_a_recommender_that_may_have_seen_the_answers(itemlm, data, fitted):
    result = itemlm("steer", fitted, "--data", data, "--questions", 30)
    assert "it may have seen the answers" in result.stderr
