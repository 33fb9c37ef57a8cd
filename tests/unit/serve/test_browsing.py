"""Looking around: the tree of Semantic IDs, the map, pages of the catalog."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from itemlm.serve.browsing import catalog_map, codes, facets, page, principal_components
from itemlm.serve.http.errors import ApiError
from itemlm.serve.release import Release


@pytest.fixture(scope="module")
def release(films, tmp_path_factory):
    """Films whose codes are known: the first code is the row's tens, the second its units."""
    rows = np.arange(60)
    codes_NL = np.stack([rows // 10, rows % 10], axis=1)
    folder = tmp_path_factory.mktemp("vectors")
    counts = {films.data.items.ids[13]: 5}
    made = Release.of("knn", films.knn, counts, encoder="lsa", folder=folder)
    return replace(made, codes_NL=codes_NL)


def test_the_tree_from_its_root_to_its_leaves(release):
    root = codes(release, [])
    assert [(branch.code, branch.items) for branch in root.branches] == [
        (ten, 10) for ten in range(6)
    ]
    node = codes(release, [1])
    assert (node.items, len(node.branches), len(node.leaves)) == (10, 10, 10)
    assert root.branches[1].titles[0] == release.titles([13])[0]  # the most popular comes first
    leaf = codes(release, [1, 3])
    assert [item.item_id for item in leaf.leaves] == [release.catalog.items.ids[13]]
    assert (leaf.branches, leaf.leaves[0].codes) == ([], [1, 3])


@pytest.mark.parametrize("prefix", [[6], [-1], [1, 2, 3], [1, 2, 3, 4, 5], [2**70]])
def test_a_way_that_does_not_exist(release, prefix):
    with pytest.raises(ApiError, match="No Semantic ID of 'knn' begins with"):
        codes(release, prefix)


def test_a_model_without_codes(release):
    with pytest.raises(ApiError, match="'knn' has no Semantic IDs"):
        codes(replace(release, codes_NL=None), [])


def test_arrived_items_get_a_free_code_beside_their_stand_in(release):
    ids = release.catalog.items.ids
    fields = {key: value for key, value in release.fields([13])[0].items() if value is not None}
    later = release.changed([("twin", fields), ("strange", {"title": None})])
    assert ids[int(later.live.stand_ins_AM[0, 0])] == ids[13]
    assert later.codes_NL[60].tolist() == [1, 10]
    assert later.codes_NL[61].tolist() == [-1, -1]  # nothing is known of it
    np.testing.assert_array_equal(later.codes_NL[:60], release.codes_NL)
    assert codes(later, []).items == 61
    gone = later.changed([("twin", None), (ids[13], None)])
    assert codes(gone, [1]).items == 9


def test_the_map_leaves_out_what_is_gone(release):
    found = catalog_map(release.changed([(release.catalog.items.ids[0], None)]))
    assert len(found.item_ids) == len(found.x) == len(found.y) == len(found.groups) == 59
    assert max(map(abs, found.x + found.y)) <= 1


def test_components_point_where_vectors_differ_most():
    along = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 0.5, 0], [1, -0.5, 0]])
    points = principal_components(along)
    assert np.abs(points[:, 0]) == pytest.approx([1, 0, 1, 0, 0], abs=1e-6)
    assert np.abs(points[:, 1]) == pytest.approx([0, 0, 0, 1, 1], abs=1e-6)
    assert principal_components(np.ones((3, 1))).shape == (3, 2)


def test_facets_are_columns_that_people_can_choose_by():
    table = pl.DataFrame(
        {
            "item_id": [f"i{row}" for row in range(10)],
            "title": ["a", "b"] * 5,
            "brand": ["Acme"] * 6 + ["Apex"] * 4,
            "genres": [["crime", "drama"]] * 5 + [["drama"]] * 3 + [[], None],
            "same": ["x"] * 10,
            "price": list(range(10)),
        }
    )
    assert facets(table) == {"brand": ["Acme", "Apex"], "genres": ["drama", "crime"]}


def test_pages_of_the_catalog(release):
    first = page(release, 40, 0, None)
    assert (len(first.items), first.cursor, first.total) == (40, "40", 60)
    second = page(release, 40, 40, None)
    assert (len(second.items), second.cursor) == (20, None)
    assert page(release, 5, 900, "year > 1900").items == []
