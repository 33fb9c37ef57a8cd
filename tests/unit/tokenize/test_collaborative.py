"""Nested clusters of co-occurrence."""

from __future__ import annotations

import numpy as np
import pytest

from itemlm.data.sequences import Sequences
from itemlm.tokenize import collaborative
from itemlm.tokenize.collaborative import collaborative_paths
from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.paths import with_last_codes
from itemlm.types import ConfigError


def nested(seed=0):
    """Histories in 2 halves of 2 blocks of 18 items each, shuffled, and the blocks."""
    rng = np.random.default_rng(seed)
    block_N = rng.permutation(np.arange(72) // 18)
    rows = []
    for n in range(1500):
        block = n % 4
        inside = np.flatnonzero(block_N == block)
        half = np.flatnonzero(block_N // 2 == block // 2)
        rows.append(np.concatenate([rng.choice(inside, 4), rng.choice(half, 1)]))
    histories = Sequences(
        offsets=np.arange(1501) * 5, item_rows=np.concatenate(rows).astype(np.int32)
    )
    return histories, block_N


def same(group_N, other_N):
    pairs = set(zip(group_N.tolist(), other_N.tolist(), strict=True))
    return len(pairs) == len(set(group_N.tolist())) == len(set(other_N.tolist()))


def test_clusters_of_clusters_are_found():
    histories, block_N = nested()
    paths_NS, sizes = collaborative_paths(histories, 72, clusters=2, leaf=40, seed=0)
    assert sizes == (2,)
    assert same(paths_NS[:, 0], block_N // 2)
    paths_NS, sizes = collaborative_paths(histories, 72, clusters=2, leaf=18, seed=0)
    assert sizes == (2, 4)
    assert same(prefix_groups(paths_NS), block_N)


def test_a_cluster_has_a_code_that_no_other_of_its_level_has():
    histories, _ = nested()
    paths_NS, sizes = collaborative_paths(histories, 72, clusters=2, leaf=5, seed=0)
    for level, size in enumerate(sizes):
        code_N = paths_NS[:, level]
        assert set(code_N[code_N >= 0].tolist()) == set(range(size))
        if level:
            pairs = {tuple(pair) for pair in paths_NS[code_N >= 0][:, level - 1 : level + 1]}
            assert len(pairs) == size  # each has one parent


def test_leaves_have_the_size_asked_for_and_every_item_a_place():
    histories, _ = nested()
    paths_NS, sizes = collaborative_paths(histories, 78, clusters=4, leaf=5, seed=0)
    assert np.bincount(prefix_groups(paths_NS)).max() <= 5
    unseen = np.arange(72, 78)
    # Items that nobody took are a cluster of their own, which is then dealt out.
    first = set(paths_NS[unseen, 0].tolist())
    assert len(first) == 1
    assert first.isdisjoint(paths_NS[:72, 0].tolist())
    assert len(with_last_codes(paths_NS, sizes, seed=0)) == 78


def test_the_depth_has_an_end(monkeypatch):
    monkeypatch.setattr(collaborative, "DEPTH", 1)
    histories, _ = nested()
    paths_NS, _ = collaborative_paths(histories, 72, clusters=2, leaf=5, seed=0)
    assert paths_NS.shape[1] == 2
    assert np.bincount(prefix_groups(paths_NS)).max() <= 5


def test_a_catalog_that_fits_into_a_leaf_is_not_cut():
    histories, _ = nested()
    paths_NS, sizes = collaborative_paths(histories, 72, clusters=4, leaf=72, seed=0)
    assert (paths_NS.shape, sizes) == ((72, 0), ())


def test_row_order_does_not_matter():
    histories, _ = nested()
    moved_N = np.random.default_rng(9).permutation(72)
    renamed = Sequences(
        offsets=histories.offsets, item_rows=moved_N[histories.item_rows].astype(np.int32)
    )
    paths_NS, _ = collaborative_paths(histories, 72, clusters=2, leaf=18, seed=0)
    again_NS, _ = collaborative_paths(renamed, 72, clusters=2, leaf=18, seed=0)
    assert same(prefix_groups(paths_NS), prefix_groups(again_NS[moved_N]))


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="not 1 and 5"):
        collaborative_paths(nested()[0], 72, clusters=1, leaf=5, seed=0)
