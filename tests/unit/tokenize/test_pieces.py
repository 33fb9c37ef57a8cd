"""Pieces of codes by hand: spelling, expected counts, pruning, and hashing."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from itemlm.tokenize.pieces import (
    Pieces,
    _expected,
    _pruned,
    hash_rows,
    learn_pieces,
    ngrams,
)
from itemlm.types import ConfigError, DataError

# Two levels of two codes: single codes 0., 1., .0 and .1, and the pair 00.
TOY = Pieces(
    codes_PL=np.array([[0, -1], [1, -1], [-1, 0], [-1, 1], [0, 0]]),
    log_P=np.log([0.2, 0.1, 0.3, 0.2, 0.2]),
    levels=(2, 2),
)


def as_text(pieces: Pieces) -> set[str]:
    """Every piece as its codes, a dot outside it."""
    return {"".join("." if code < 0 else str(code) for code in row) for row in pieces.codes_PL}


def test_an_item_is_spelled_by_its_most_probable_pieces() -> None:
    # 00 as one piece has 0.2, as two 0.2 * 0.3 = 0.06; the others have one spelling only.
    spelled = TOY.spell(np.array([[0, 0], [0, 1], [1, 0]]))
    assert spelled.tolist() == [[4, -1], [0, 3], [1, 2]]
    # Were the pair as rare as 0.05, two pieces would be more probable.
    rare = Pieces(codes_PL=TOY.codes_PL, log_P=np.log([0.2, 0.1, 0.3, 0.35, 0.05]), levels=(2, 2))
    assert rare.spell(np.array([[0, 0]])).tolist() == [[0, 2]]


def test_a_code_on_another_level_is_another_piece() -> None:
    levels = (2, 2, 2)
    codes = np.array([[0, -1, -1], [1, -1, -1], [-1, 0, -1], [-1, 1, -1], [-1, -1, 0], [-1, -1, 1]])
    both = np.concatenate([codes, [[0, 1, -1]]])
    pieces = Pieces(codes_PL=both, log_P=np.log([0.1] * 6 + [0.4]), levels=levels)
    # 0, 1 is a piece at the beginning, not at the end.
    assert pieces.spell(np.array([[0, 1, 0], [0, 0, 1]])).tolist() == [[6, 4, -1], [0, 2, 5]]


def test_expected_counts_weigh_all_spellings() -> None:
    counts = _expected(TOY, np.array([[0, 0], [0, 1]]), np.array([2.0, 1.0]))
    # Of the 2 items 00 the pair spells 0.2 / (0.2 + 0.06); the rest are 0. and .0.
    pair = 2 * 0.2 / 0.26
    assert counts == pytest.approx([2 - pair + 1, 0, 2 - pair, 1, pair])


def test_what_others_replace_at_the_least_loss_is_dropped() -> None:
    more = Pieces(
        codes_PL=np.concatenate([TOY.codes_PL, [[1, 1]]]),
        log_P=np.log([0.2, 0.1, 0.3, 0.2, 0.1, 0.1]),
        levels=(2, 2),
    )
    counts = np.array([1.0, 1.0, 1.0, 1.0, 3.0, 2.0])
    # 00 is worth 3 * log(0.1 / (0.2 * 0.3)) = 1.53, and 11 is 2 * log(0.1 / (0.1 * 0.2)) = 3.22.
    assert 3 * log(0.1 / 0.06) < 2 * log(0.1 / 0.02)
    assert as_text(_pruned(more, counts, 5)) == {"0.", "1.", ".0", ".1", "11"}


def test_traffic_decides_which_runs_become_pieces() -> None:
    codes = np.array([[0, 0], [1, 1], [0, 1], [1, 0]])
    singles = {"0.", "1.", ".0", ".1"}
    for busy, run in enumerate(("00", "11", "01", "10")):
        weights = np.ones(4)
        weights[busy] = 100
        assert as_text(learn_pieces(codes, (2, 2), weights, 5)) == singles | {run}


def test_probabilities_add_up_to_one_and_single_codes_are_always_there() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 3))
    pieces = learn_pieces(codes, (4, 4, 5), np.ones(60), 20)  # no item has code 4 on level 2
    assert len(pieces) == 20
    assert np.exp(pieces.log_P).sum() == pytest.approx(1)
    assert "..4" in as_text(pieces)
    # What is spelled gives back the codes, of items that were never met too.
    new = np.array([[3, 0, 4], [0, 0, 0]])
    for items in (codes, new):
        spelled = pieces.spell(items)
        for item, row in zip(items, spelled, strict=True):
            parts = pieces.codes_PL[row[row >= 0]]
            assert parts.max(axis=0).tolist() == item.tolist()
            assert ((parts >= 0).sum(axis=0) == 1).all()


def test_items_without_events_make_no_pieces_of_their_own() -> None:
    codes = np.array([[0, 0], [1, 1]])
    pieces = learn_pieces(codes, (2, 2), np.array([5.0, 0.0]), 50)
    assert as_text(pieces) == {"0.", "1.", ".0", ".1", "00"}


def test_an_n_gram_is_a_run_at_its_place() -> None:
    codes = np.array([[1, 2, 1, 2, 3], [1, 2, 0, 0, 3], [0, 0, 1, 2, 3]])
    rows = ngrams(codes, 2, 2**40)  # so large that nothing collides
    assert rows.shape == (3, 3)  # 1 2, 1 2, and 3 alone
    assert rows[0, 0] == rows[1, 0] != rows[2, 0]
    assert rows[0, 1] == rows[2, 1] != rows[1, 1]
    assert rows[0, 0] != rows[0, 1]  # the same codes at another place
    assert len(set(rows[:, 2].tolist())) == 1


def test_hashes_spread_evenly() -> None:
    counts = np.bincount(hash_rows(np.arange(100_000)[:, None], 100), minlength=100)
    # 1,000 each are expected, with a standard deviation of sqrt(1000) = 32.
    assert abs(counts - 1000).max() < 5 * 32


def test_what_cannot_work_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="3 pieces have no room for the 4 single codes"):
        learn_pieces(np.array([[0, 0]]), (2, 2), np.ones(1), 3)
    with pytest.raises(DataError, match="items of 2 codes"):
        TOY.spell(np.array([[0, 0, 0]]))
    with pytest.raises(DataError, match=r"within the levels \(2, 2\)"):
        TOY.spell(np.array([[0, 2]]))
    with pytest.raises(ConfigError, match="must be at least 1, not 0 and 5"):
        ngrams(np.array([[0]]), 0, 5)
