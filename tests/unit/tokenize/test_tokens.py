"""Item tokens: look-ups, what is refused, growing without moving codes, and folders on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from itemlm.tokenize.quantizer import Quantizer
from itemlm.tokenize.tokens import ItemTokens, unique
from itemlm.types import ArtifactError, ConfigError, DataError

FOUR = np.array([[0, 2, 0], [0, 2, 1], [1, 0, 0], [1, 2, 0]])


def four_items():
    return ItemTokens(FOUR, (2, 3, 2))


def compass(spare=2):
    """Directions on a circle: one code says east or west, the next north or south.

    Items look north-east, south-east, north-east and south-west.
    """
    quantizer = Quantizer(
        mean_D=np.zeros(2),
        scale_D=np.ones(2),
        codebooks=(np.array([[0.7, 0.0], [-0.7, 0.0]]), np.array([[0.0, 0.7], [0.0, -0.7]])),
    )
    codes_NS = quantizer.codes(np.array([[1, 1], [1, -1], [2, 2], [-1, -1]]))
    return unique(codes_NS, (2, 2), seed=0, spare=spare, quantizer=quantizer)


# --- Looking up -------------------------------------------------------------------------------


def test_rows_become_codes_and_codes_become_rows():
    tokens = four_items()
    assert tokens.encode(np.array([3, 0])).tolist() == [[1, 2, 0], [0, 2, 0]]
    assert tokens.decode(np.array([[1, 2, 0], [0, 2, 0]])).tolist() == [3, 0]


def test_shapes_are_kept_and_what_is_no_item_is_minus_one():
    tokens = four_items()
    assert tokens.encode(np.array([[2, -1]])).tolist() == [[[1, 0, 0], [-1, -1, -1]]]
    # No item has (1, 1, 0); 9 and -1 are no codes; (0, 2, 2) is out of range but its key,
    # (0 * 3 + 2) * 2 + 2 = 8, would be that of (1, 1, 0).
    codes = np.array([[[1, 0, 0], [1, 1, 0]], [[9, 0, 0], [-1, -1, -1]], [[0, 2, 2], [0, 2, 1]]])
    assert tokens.decode(codes).tolist() == [[2, -1], [-1, -1], [-1, 1]]
    assert tokens.decode(np.empty((0, 3), dtype=int)).shape == (0,)


def test_sixty_four_levels_of_a_thousand_codes_do_not_overflow():
    # One integer of 64 bits holds 6 such levels; these codes differ in the last level only.
    codes_NL = np.full((3, 64), 999)
    codes_NL[:, -1] = [5, 7, 6]
    tokens = ItemTokens(codes_NL, (1000,) * 64)
    asked = codes_NL[[2, 0, 1, 0]].copy()
    asked[3, 0] = 998
    assert tokens.decode(asked).tolist() == [2, 0, 1, -1]


def test_a_key_leaves_room_for_the_rank_before_it():
    # The last two levels fill 61 bits. With the rank of the first two above them, ranks 0, 8 and 16
    # would be the same in 64 bits, since 8 * 2^61 = 2^64.
    codes_NL = np.zeros((20, 4), dtype=np.int64)
    codes_NL[:, 0] = np.arange(20)
    tokens = ItemTokens(codes_NL, (2**31, 2**30, 2**31, 2**30))
    assert tokens.decode(codes_NL).tolist() == list(range(20))


def test_unknown_rows_and_wrong_widths_are_refused():
    with pytest.raises(DataError, match=r"no item in row 4; rows run from 0 to 3"):
        four_items().encode(np.array([0, 4]))
    with pytest.raises(DataError, match=r"no item in row -2"):
        four_items().encode(np.array([-2]))
    with pytest.raises(DataError, match=r"must have 3 codes, one per level, .* shape \(1, 2\)"):
        four_items().decode(np.array([[0, 2]]))


def test_the_trie_holds_every_item():
    trie = four_items().trie()
    assert sorted(trie.row_of_leaf.tolist()) == [0, 1, 2, 3]
    assert trie.levels[0].codes.tolist() == [0, 1]


# --- Being made -------------------------------------------------------------------------------


def test_arrays_are_copied_and_read_only():
    codes_NL = FOUR.copy()
    tokens = ItemTokens(codes_NL, (2, 3, 2))
    codes_NL[0, 0] = 1
    assert tokens.codes_NL[0, 0] == 0
    assert tokens.codes_NL.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        tokens.codes_NL[0, 0] = 1


def test_shared_codes_are_refused_by_row():
    with pytest.raises(DataError, match=r"rows 1, 3 have the same codes \(0, 1\)\. .*`unique"):
        ItemTokens(np.array([[0, 0], [0, 1], [1, 0], [0, 1]]), (2, 2))
    with pytest.raises(DataError, match=r"rows 0, 1 have the same codes .* 2 others share theirs"):
        ItemTokens(np.array([[0], [0], [1], [1]]), (2,))


@pytest.mark.parametrize(
    ("codes", "levels", "message"),
    [
        ([[0, 5]], (2, 3), "row 0 has code 5 on level 1, whose codes run from 0 to 2"),
        ([[0, 0], [-1, 0]], (2, 3), "row 1 has code -1 on level 0"),
        ([[0, 1]], (2, 3, 4), r"codes have 2 levels, but sizes are given as \(2, 3, 4\)"),
        ([0, 1], (2,), r"whole numbers \[items, levels\].* of shape \(2,\)"),
        ([[0.5]], (2,), "not float64"),
        (np.empty((0, 2), dtype=int), (2, 2), r"shape \(0, 2\)"),
    ],
)
def test_codes_that_cannot_be_are_refused(codes, levels, message):
    with pytest.raises(DataError, match=message):
        ItemTokens(np.array(codes), levels)


def test_codebooks_of_another_size_are_refused():
    with pytest.raises(DataError, match=r"sizes \(2, 3\), but the codebooks have \(2, 2\)"):
        ItemTokens(FOUR, (2, 3, 2), compass().quantizer)


def test_the_fingerprint_changes_with_a_code_and_with_a_size():
    moved = FOUR.copy()
    moved[2, 1] = 1
    prints = {
        four_items().fingerprint,
        ItemTokens(moved, (2, 3, 2)).fingerprint,
        ItemTokens(FOUR, (2, 3, 4)).fingerprint,
    }
    assert len(prints) == 3
    assert four_items().fingerprint == four_items().fingerprint


# --- Making codes unique ----------------------------------------------------------------------


def test_items_that_tie_are_numbered_from_zero():
    tokens = unique(np.array([[4], [7], [4], [4]]), (8,), seed=0, spare=0)
    assert tokens.codes_NL[1].tolist() == [7, 0]
    assert sorted(tokens.codes_NL[[0, 2, 3], 1].tolist()) == [0, 1, 2]


def test_the_numbers_say_nothing_about_row_order():
    firsts = [
        int(unique(np.zeros((3, 1), dtype=int), (1,), seed).codes_NL[:, 1].argmin())
        for seed in range(300)
    ]
    # Each of three items is numbered 0 in a third of the shuffles: 100 of 300, give or take
    # 4 standard deviations of sqrt(300 * 1/3 * 2/3) = 8.2.
    assert all(abs(count - 100) < 33 for count in np.bincount(firsts, minlength=3))


@pytest.mark.parametrize(
    ("group", "spare", "room"),
    [
        (1, 0, 1),  # nobody ties: one code
        (3, 0, 4),  # 3 rounded up to a power of two
        (3, 1, 4),
        (3, 2, 8),  # 3 + 2 = 5
        (1, 8, 16),
    ],
)
def test_the_last_level_has_room_for_the_largest_group_and_spare(group, spare, room):
    tokens = unique(np.zeros((group, 1), dtype=int), (1,), 0, spare=spare)
    assert tokens.levels == (1, room)


def test_negative_spare_is_refused():
    with pytest.raises(ConfigError, match="spare is -1"):
        unique(FOUR, (2, 3, 2), 0, spare=-1)


# --- Growing ----------------------------------------------------------------------------------


def test_new_items_get_the_codes_of_their_vectors_and_the_lowest_free_last_code():
    tokens = compass()
    assert tokens.codes_NL[:, :2].tolist() == [[0, 0], [0, 1], [0, 0], [1, 1]]
    grown = tokens.append(np.array([[3.0, 3.1], [-5.0, -4.0], [-1.0, 1.0]]))
    # Two items look north-east already and one south-west; none looks north-west.
    assert grown.codes_NL[4:].tolist() == [[0, 0, 2], [1, 1, 1], [1, 0, 0]]
    assert np.array_equal(grown.codes_NL[:4], tokens.codes_NL)
    assert grown.levels == tokens.levels


def test_a_gap_among_published_codes_is_filled():
    quantizer = compass().quantizer
    tokens = ItemTokens(np.array([[0, 0, 1]]), (2, 2, 2), quantizer)
    assert tokens.append(np.array([[1.0, 1.0]])).codes_NL[-1].tolist() == [0, 0, 0]


def test_new_items_that_tie_are_shuffled_by_seed():
    north_east = np.ones((2, 2))
    orders = {tuple(compass().append(north_east, seed).codes_NL[4:, 2]) for seed in range(20)}
    assert orders == {(2, 3), (3, 2)}


def test_a_full_last_level_is_refused_with_the_way_out():
    tokens = compass(spare=0)  # the largest group is 2, so there are 2 last codes
    with pytest.raises(
        ConfigError,
        match=r"1 new items and 2 known ones have the codes \(0, 0\), but the last level tells "
        r"only 2 items apart.*spare=1",
    ):
        tokens.append(np.array([[1.0, 1.0]]))
    assert len(tokens.append(np.array([[-1.0, 1.0], [-1.0, 1.0]]))) == 6


def test_tokens_without_a_quantizer_cannot_grow():
    with pytest.raises(ConfigError, match="not made from vectors"):
        four_items().append(np.zeros((1, 2)))


def test_vectors_of_another_encoder_are_refused():
    with pytest.raises(DataError, match=r"3 values each, but these tokens were fitted on .* of 2"):
        compass().append(np.ones((1, 3)))


# --- Keeping ----------------------------------------------------------------------------------


def test_a_saved_folder_gives_the_same_tokens_back(tmp_path):
    tokens = compass()
    tokens.save(tmp_path / "tokens")
    loaded = ItemTokens.load(tmp_path / "tokens")
    assert loaded.fingerprint == tokens.fingerprint
    assert loaded.levels == tokens.levels
    new = np.array([[0.2, 1.0], [-3.0, 0.1]])
    assert np.array_equal(loaded.append(new).codes_NL, tokens.append(new).codes_NL)


def test_tokens_without_a_quantizer_are_saved_too(tmp_path):
    four_items().save(tmp_path / "tokens")
    assert ItemTokens.load(tmp_path / "tokens").quantizer is None


def test_what_is_no_saved_tokens_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"has no tokens\.json"):
        ItemTokens.load(tmp_path)


def test_a_changed_array_is_noticed(tmp_path):
    four_items().save(tmp_path / "tokens")
    np.save(tmp_path / "tokens" / "codes.npy", FOUR[::-1].astype(np.int32))
    with pytest.raises(ArtifactError, match="checksum differs"):
        ItemTokens.load(tmp_path / "tokens")


def test_a_missing_or_torn_array_is_noticed(tmp_path):
    four_items().save(tmp_path / "tokens")
    array = tmp_path / "tokens" / "levels.npy"
    array.write_bytes(array.read_bytes()[:90])
    with pytest.raises(ArtifactError, match="is damaged"):
        ItemTokens.load(tmp_path / "tokens")
    array.unlink()
    with pytest.raises(ArtifactError, match="is damaged"):
        ItemTokens.load(tmp_path / "tokens")


def test_another_format_version_is_refused(tmp_path):
    four_items().save(tmp_path / "tokens")
    path = tmp_path / "tokens" / "tokens.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(ArtifactError, match="format version 99, this itemlm reads 1"):
        ItemTokens.load(tmp_path / "tokens")


def test_pickles_are_not_opened(tmp_path):
    four_items().save(tmp_path / "tokens")
    np.save(tmp_path / "tokens" / "codes.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="is damaged"):
        ItemTokens.load(tmp_path / "tokens")
