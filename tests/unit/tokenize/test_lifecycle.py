"""The life of published codes: growing, renaming a new fit, and what has drifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from itemlm.data.vocabulary import Vocabulary
from itemlm.tokenize.drift import drift
from itemlm.tokenize.migration import migrated, migration_map
from itemlm.tokenize.published import Published
from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.random_ids import random_tokens
from itemlm.tokenize.residual_kmeans import residual_kmeans
from itemlm.tokenize.tokens import ItemTokens
from itemlm.types import ArtifactError, ConfigError, DataError


def items(*ids):
    return Vocabulary(pl.Series(list(ids)))


def line(*codebooks):
    """A quantizer of numbers on a line, which are their own directions' first value."""
    return Quantizer(
        mean_D=np.zeros(2),
        scale_D=np.ones(2),
        codebooks=tuple(np.array([[word, 0.0] for word in words]) for words in codebooks),
    )


def published(ids, codes, levels, quantizer=None):
    return Published(ItemTokens(np.array(codes), levels, quantizer), items(*ids))


def vectors(count=120, width=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(8, width))[rng.integers(8, size=count)] + 0.3 * rng.normal(
        size=(count, width)
    )


def fitted(seed=0, count=120):
    tokens = residual_kmeans(vectors()[:count], levels=2, codes=8, seed=seed, spread=False)
    return Published(tokens, items(*(f"i{row}" for row in range(count))))


# --- Growing --------------------------------------------------------------------------------------


def test_known_items_keep_their_codes_in_any_order():
    old = fitted(count=100)
    order = np.random.default_rng(1).permutation(120)[:110]  # some gone, some new, all moved
    new = old.grown(items(*(f"i{row}" for row in order)), vectors()[order])
    for row, name in zip(order.tolist(), new.items.ids, strict=True):
        if row < 100:
            assert np.array_equal(new.codes_of([name]), old.codes_of([name]))
    fresh = order >= 100
    assert np.array_equal(
        new.tokens.semantic_codes[fresh], old.tokens.quantizer.codes(vectors()[order[fresh]])
    )
    (ancestor,) = new.tokens.lineage
    assert (ancestor.step, ancestor.items) == ("append", 100)
    assert ancestor.fingerprint == old.tokens.fingerprint


def test_vectors_of_another_encoder_are_refused():
    other = np.random.default_rng(5).normal(size=(120, 10))
    with pytest.raises(ConfigError, match="not of the encoder that the tokens were fitted with"):
        fitted(count=100).grown(items(*(f"i{row}" for row in range(120))), other)


def test_published_tokens_are_kept_whole(tmp_path):
    old = fitted(count=100)
    new = old.grown(fitted().items, vectors())
    new.save(tmp_path / "new")
    again = Published.load(tmp_path / "new")
    assert again.items.ids.to_list() == new.items.ids.to_list()
    assert again.tokens.fingerprint == new.tokens.fingerprint
    assert again.tokens.lineage == new.tokens.lineage
    path = tmp_path / "new" / "items.json"
    path.write_text(path.read_text().replace("i7", "j7"))
    with pytest.raises(ArtifactError, match="is not what was saved"):
        Published.load(tmp_path / "new")
    old.tokens.save(tmp_path / "nameless")
    with pytest.raises(ArtifactError, match="does not say whose codes"):
        Published.load(tmp_path / "nameless")
    with pytest.raises(DataError, match="100 items but 1 ids"):
        old.tokens.save(tmp_path / "x", ["a"])


# --- Fitting anew ---------------------------------------------------------------------------------


def test_another_numbering_is_no_change():
    old = fitted()
    # The same fit with the codes of both levels counted backwards.
    parts = old.tokens.quantizer
    backwards = [codebook[::-1] for codebook in parts.codebooks]
    codes_NL = old.tokens.codes_NL.copy()
    codes_NL[:, :2] = np.array(old.tokens.levels[:2]) - 1 - codes_NL[:, :2]
    fresh = Published(
        replace(
            old.tokens, codes_NL=codes_NL, quantizer=replace(parts, codebooks=tuple(backwards))
        ),
        old.items,
    )
    new, changes = migrated(old, fresh)
    assert np.array_equal(new.tokens.codes_NL, old.tokens.codes_NL)
    assert changes.changed == 0
    assert changes.renamed == (8, 8)
    # Codewords moved with their names.
    assert np.array_equal(new.tokens.quantizer.codes(vectors()), parts.codes(vectors()))
    assert new.tokens.lineage[-1].step == "refit"


def test_names_by_hand():
    # Old groups 0: a b c, 1: d e. New groups 1: a b, 0: c d e. Naming new 1 "0" and new 0 "1" keeps
    # a, b, d and e; c has really moved. It meets d and e, whose last codes 0 and 1 are taken.
    old = published("abcde", [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]], (2, 4), line([1, -1]))
    fresh = published("cdeabx", [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]], (2, 4),
                      line([-5, 5]))  # fmt: skip
    new, changes = migrated(old, fresh)
    assert [new.codes_of([name])[0].tolist() for name in "abde"] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert new.codes_of(["c"])[0].tolist() == [1, 2]
    assert new.codes_of(["x"])[0].tolist() == [0, 2]
    assert new.tokens.quantizer.codebooks[0][:, 0].tolist() == [5, -5]
    assert (changes.known, changes.new, changes.gone) == (5, 1, 0)
    assert changes.changed == changes.prefix_changed[0] == pytest.approx(1 / 5)
    assert changes.renamed == (2,)
    table = migration_map(old, new)
    assert table.rows() == [
        ("a", "0 0", "0 0", "same"),
        ("b", "0 1", "0 1", "same"),
        ("c", "0 2", "1 2", "changed"),
        ("d", "1 0", "1 0", "same"),
        ("e", "1 1", "1 1", "same"),
        ("x", None, "0 2", "new"),
    ]


def test_another_seed_changes_less_than_it_seems():
    old, fresh = fitted(seed=0), fitted(seed=1)
    raw = (old.tokens.codes_NL[:, 0] != fresh.tokens.codes_NL[:, 0]).mean()
    _, changes = migrated(old, fresh)
    assert changes.prefix_changed[0] < raw
    assert changes.prefix_changed[0] <= changes.prefix_changed[1] <= changes.changed


def test_what_cannot_be_renamed_is_told():
    old = fitted()
    with pytest.raises(ConfigError, match="the new tokens have none"):
        migrated(old, Published(random_tokens(120, 2, 8), old.items))
    deep = residual_kmeans(vectors(), levels=3, codes=8)
    with pytest.raises(ConfigError, match="have 4 levels, the old ones 3"):
        migrated(old, Published(deep, old.items))


# --- Drift ----------------------------------------------------------------------------------------


def test_drift_by_hand():
    old = published("ab", [[0, 0], [1, 0]], (2, 2), line([1.0, -1.0]))
    new = published("acd", [[0, 0], [0, 1], [1, 0]], (2, 2), line([1.0, -1.0]))
    # a and c point to 1, d to 0.6: distances 0, 0 and (0.6 + 1)^2 + 0.8^2 = 3.2.
    found = drift(old, new, np.array([[2.0, 0.0], [1.0, 0.0], [0.6, 0.8]]))
    assert (found.known, found.new, found.gone, found.changed) == (1, 2, 1, 0)
    assert found.colliding == (0, pytest.approx(2 / 3))
    assert found.full == (0, 1)
    assert found.least_room == (1, 0)
    assert found.distance == (pytest.approx(0, abs=1e-6), pytest.approx(3.2 / 2))
    assert found.far == 0.5
    # Shares 1/2, 1/2 and 2/3, 1/3 with 7/12, 5/12 between.
    log2 = np.log2
    one = 0.5 * log2((1 / 2) / (7 / 12)) + 0.5 * log2((1 / 2) / (5 / 12))
    other = 2 / 3 * log2((2 / 3) / (7 / 12)) + 1 / 3 * log2((1 / 3) / (5 / 12))
    assert found.divergence == (pytest.approx((one + other) / 2),)


def test_no_change_is_no_drift_and_strangers_share_nothing():
    old = fitted()
    same = drift(old, old, vectors())
    assert (same.new, same.gone, same.changed) == (0, 0, 0)
    assert same.divergence == (0, 0)
    assert same.far is None
    apart = published("ab", [[0, 0], [0, 1]], (2, 2)), published("ab", [[1, 0], [1, 1]], (2, 2))
    assert drift(*apart).divergence == (1,)
    assert drift(*apart).changed == 2
    with pytest.raises(DataError, match="3 and 2 levels"):
        drift(old, apart[0])


# --- Paths of unequal length ----------------------------------------------------------------------


def test_siblings_of_short_paths_are_counted_as_such():
    # Three items below code 0 and two that have no second code: all but the last code is the same
    # for the three, and for the two, whose only code tells them apart.
    old = published("abcde", [[0, 0], [0, 1], [0, 2], [1, -1], [2, -1]], (3, 3))
    found = drift(old, old)
    assert found.colliding == (1.0, 1.0)
    assert found.full is None  # new items get no codes beside these
    assert found.least_room is None


def test_the_end_of_a_path_gives_no_name_to_a_code():
    # Item b ended after its first code. What its second code is called now is free, so that of
    # item a keeps its name.
    old = published("ab", [[0, 1], [1, -1]], (2, 2))
    fresh = published("ab", [[0, 1, 0], [1, 0, 0]], (2, 2, 2), line([0.0, 1.0], [0.0, 1.0]))
    old = published("ab", [[0, 1, 0], [1, -1, -1]], (2, 2, 2))
    new, changes = migrated(old, fresh)
    assert new.codes_of("a").tolist() == [[0, 1, 0]]
    assert changes.code_changed == (0.0, 0.5)


def test_items_that_only_leave_are_a_step_of_the_lineage():
    old = fitted()
    assert old.grown(old.items, vectors()).tokens.lineage == ()
    some = old.grown(items(*(f"i{row}" for row in range(90))), vectors()[:90])
    assert [ancestor.fingerprint for ancestor in some.tokens.lineage] == [old.tokens.fingerprint]
