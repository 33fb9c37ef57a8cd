"""Figures beyond accuracy, by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import polars as pl
import pytest

from itemlm.evaluation.beyond import Beyond, BeyondAccuracy, categories_of, gini
from itemlm.types import QueryBatch

CATALOG = pl.DataFrame(
    {
        "item_id": [10, 11, 12, 13],
        "genres": [["war", "drama"], ["drama"], ["comedy"], []],
    }
)
COUNTS = np.array([4, 2, 2, 0])


def measure(
    lists: list[list[int]], histories: list[list[int]], catalog: pl.DataFrame | None = CATALOG
) -> Beyond:
    batch = QueryBatch(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.array([item for row in histories for item in row], dtype=np.int64),
        user_rows=np.arange(len(histories)),
    )
    categories = None if catalog is None else categories_of(catalog)
    return BeyondAccuracy(batch, COUNTS, categories).measure(np.array(lists, dtype=np.int32))


def test_coverage_is_the_share_of_the_catalog_in_any_list() -> None:
    assert measure([[0, 1], [1, -1]], [[2], [2]]).coverage == 2 / 4


def test_gini() -> None:
    assert gini(np.array([2, 2, 2, 2])) == 0
    # Ascending 0, 0, 0, 8 with weights -3, -1, 1, 3: 24 / (4 * 8).
    assert gini(np.array([0, 8, 0, 0])) == 24 / 32
    # 0, 1, 2, 5: -3 * 0 - 1 * 1 + 1 * 2 + 3 * 5 = 16; 16 / (4 * 8).
    assert gini(np.array([2, 0, 5, 1])) == 16 / 32


def test_novelty_is_the_mean_surprise() -> None:
    # Of 8 events, item 0 has 4 and item 1 has 2; item 3 has none and counts as having one.
    found = measure([[0, 1], [3, -1]], [[2], [2]]).novelty
    assert found == pytest.approx(((log2(8 / 4) + log2(8 / 2)) / 2 + log2(8 / 1)) / 2)


def test_popularity_lift_compares_lists_with_histories() -> None:
    # Lists: mean counts (4 + 2) / 2 = 3 and 2. Histories: 2 and (4 + 2 + 0) / 3 = 2.
    assert measure([[0, 1], [2, -1]], [[2], [0, 1, 3]]).popularity_lift == (3 + 2) / (2 + 2)
    assert measure([[0, 1]], [[]]).popularity_lift is None


def test_intra_list_similarity_is_the_mean_jaccard_of_pairs() -> None:
    # Items 0 and 1 share "drama" of "war", "drama": 1/2. Items 0 and 2: 0. Items 1 and 2: 0.
    assert measure([[0, 1, 2]], [[2]]).intra_list_similarity == pytest.approx((1 / 2 + 0 + 0) / 3)
    # Item 3 has no category, so its pairs are not counted; nor are empty places.
    assert measure([[0, 3, 1, -1]], [[2]]).intra_list_similarity == pytest.approx(1 / 2)
    assert measure([[3, -1]], [[2]]).intra_list_similarity is None


def test_calibration_is_the_divergence_between_the_mixtures() -> None:
    assert measure([[1, -1]], [[1]]).calibration == pytest.approx(0)
    assert measure([[2, -1]], [[1]]).calibration == pytest.approx(1)  # nothing in common
    # History: item 0, half war and half drama. List: item 1, all drama. Middle: 1/4 and 3/4.
    middle = -(1 / 4) * log2(1 / 4) - (3 / 4) * log2(3 / 4)
    assert measure([[1]], [[0]]).calibration == pytest.approx(middle - (1 + 0) / 2)


def test_calibration_agrees_with_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    # List: war 1/4, drama 1/4 + 1/2 = 3/4. History, items 0, 2, 2: war 1/6, drama 1/6, comedy 2/3.
    expected = jensenshannon([1 / 4, 3 / 4, 0], [1 / 6, 1 / 6, 2 / 3], base=2) ** 2
    assert measure([[0, 1]], [[0, 2, 2]]).calibration == pytest.approx(expected)


def test_lists_without_an_item_are_no_obstacle() -> None:
    found = measure([[-1, -1]], [[0]])
    assert (found.coverage, found.gini, found.novelty) == (0, 0, 0)
    assert found.calibration is None


def test_without_categories_two_figures_are_missing() -> None:
    found = measure([[0, 1]], [[2]], catalog=None)
    assert found.intra_list_similarity is None
    assert found.calibration is None
    assert found.coverage == 2 / 4


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"title": ["a"], "genres": [["x"]], "words": [["y"]]}, "genres"),
        ({"words": [["y"]], "category": ["x"]}, "category"),  # by its name
        ({"title": ["a"], "words": [["y"]]}, "words"),  # the only lists of text
        ({"title": ["a"], "codes": [[1, 2]]}, None),
    ],
)
def test_the_column_of_categories(columns: dict[str, list[object]], expected: str | None) -> None:
    found = categories_of(pl.DataFrame({"item_id": [1], **columns}))
    assert (found.column if found else None) == expected
