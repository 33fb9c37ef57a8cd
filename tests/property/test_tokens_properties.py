"""What holds for item tokens whatever the codes, the vectors and the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlm.tokenize.lookup import prefix_groups
from itemlm.tokenize.residual_kmeans import residual_kmeans
from itemlm.tokenize.tokens import unique
from itemlm.types import ConfigError


@st.composite
def semantic_codes(draw):
    """Level sizes and codes, with many ties: few codes, up to 40 items, up to 12 levels."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 2**31 - 1]), min_size=1, max_size=12))
    items = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    few = [rng.integers(size, size=3) for size in sizes]
    return np.column_stack([rng.choice(codes, size=items) for codes in few]), tuple(sizes)


@st.composite
def small_vectors(draw):
    """Whole-numbered vectors, many of them equal or zero."""
    items, width = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    values = st.lists(st.integers(-2, 2), min_size=items * width, max_size=items * width)
    return np.array(draw(values), dtype=np.float64).reshape(items, width)


@settings(deadline=None)
@given(semantic_codes(), st.integers(0, 5))
def test_unique_keeps_semantic_codes_and_separates_every_item(codes, seed):
    codes_NS, sizes = codes
    tokens = unique(codes_NS, sizes, seed)
    assert np.array_equal(tokens.semantic_codes, codes_NS)
    rows = [tuple(row) for row in tokens.codes_NL.tolist()]
    assert len(set(rows)) == len(rows)


@settings(deadline=None)
@given(semantic_codes(), st.randoms(use_true_random=False))
def test_decode_is_a_dictionary(codes, random):
    """A dictionary from tuples to rows says the same, of items and of tuples beside them."""
    tokens = unique(*codes, seed=0)
    row_of = {tuple(row): place for place, row in enumerate(tokens.codes_NL.tolist())}
    asked = [list(row) for row in tokens.codes_NL.tolist()]
    for row in asked[::2]:
        level = random.randrange(len(row))
        row[level] = random.choice([-1, 0, 1, tokens.levels[level] - 1, tokens.levels[level]])
    expected = [row_of.get(tuple(row), -1) for row in asked]
    assert tokens.decode(np.array(asked)).tolist() == expected
    assert tokens.decode(tokens.codes_NL).tolist() == list(range(len(tokens)))


@settings(deadline=None)
@given(semantic_codes())
def test_prefix_groups_are_those_of_sorted_tuples(codes):
    codes_NS, _ = codes
    tuples = [tuple(row) for row in codes_NS.tolist()]
    number = {codes: place for place, codes in enumerate(sorted(set(tuples)))}
    assert prefix_groups(codes_NS).tolist() == [number[codes] for codes in tuples]


@settings(deadline=None)
@given(small_vectors(), st.integers(1, 3), st.integers(1, 6), st.booleans())
def test_any_vectors_get_unique_codes_within_the_asked_sizes(vectors_ND, levels, codes, spread):
    tokens = residual_kmeans(vectors_ND, levels, codes, spread=spread)
    assert len(tokens) == len(vectors_ND)
    assert all(size <= codes for size in tokens.levels[:-1])
    assert np.isfinite(tokens.quantizer.reconstruct(tokens.semantic_codes)).all()


@settings(deadline=None)
@given(small_vectors(), small_vectors(), st.integers(0, 3))
def test_appending_moves_no_code_and_stays_unique_or_says_that_it_is_full(known, new, spare):
    width = min(known.shape[1], new.shape[1])
    tokens = residual_kmeans(known[:, :width], 2, 3, spread=False, spare=spare)
    new = new[:, :width]
    semantic = np.concatenate([tokens.semantic_codes, tokens.quantizer.codes(new)])
    if np.bincount(prefix_groups(semantic)).max() > tokens.levels[-1]:
        with pytest.raises(ConfigError, match="tells only"):
            tokens.append(new)
        return
    grown = tokens.append(new)
    assert np.array_equal(grown.codes_NL[: len(tokens)], tokens.codes_NL)
    assert len(grown) == len(tokens) + len(new)
    assert grown.levels == tokens.levels
