"""Pairs of items, and the stream of histories and searches, by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.data.sequences import Sequences
from itemlm.sample.pairs import Pairs, taken
from itemlm.sample.searches import SearchesAndHistories
from itemlm.types import DataError

# Two people: items 0 1 2 and 3 3 4.
TWO = Sequences(offsets=np.array([0, 3, 6]), item_rows=np.array([0, 1, 2, 3, 3, 4]))


def pairs_of(reach: int) -> set[tuple[int, int]]:
    return set(zip(*taken(TWO, reach).tolist(), strict=True))


def test_pairs_are_of_one_person_and_of_two_items() -> None:
    assert pairs_of(1) == {(0, 1), (1, 2), (3, 4)}
    assert pairs_of(2) == {(0, 1), (1, 2), (3, 4), (0, 2)}


def test_an_epoch_goes_through_the_larger_kind_once() -> None:
    source = Pairs(np.array([4, 0, 2, 1, 3]), TWO, reach=1, batch_size=2, seed=0)
    assert source.steps == 3  # five searches
    batches = list(source.batches(0))
    searches = torch.cat([batch.searches_B for batch in batches]).tolist()
    assert sorted(searches[:5]) == [0, 1, 2, 3, 4]
    for batch in batches:
        assert batch.meant_B.tolist() == [[4, 0, 2, 1, 3][q] for q in batch.searches_B.tolist()]
        assert len(batch.items_B) == 2
        together = set(zip(batch.items_B.tolist(), batch.next_items_B.tolist(), strict=True))
        assert together <= pairs_of(1)
    again = list(source.batches(0, skip=2))
    assert torch.equal(again[0].searches_B, batches[2].searches_B)


def test_one_kind_of_pairs_alone() -> None:
    batch = next(Pairs(np.array([4]), None, reach=1, batch_size=2, seed=0).batches(0))
    assert (batch.meant_B.tolist(), batch.items_B.tolist()) == ([4, 4], [])
    with pytest.raises(DataError, match="neither a search nor a person with two events"):
        Pairs(np.empty(0, np.int64), None, reach=1, batch_size=2, seed=0)


def stream(**changes: object) -> SearchesAndHistories:
    settings = {"personal": 1.0, "padding": 5, "length": 4, "batch_size": 2, "seed": 0}
    # Three searches with words 0 to 2 (3 is padding); the answers of searches are rows 5 to 9.
    return SearchesAndHistories(
        TWO,
        np.array([[0, 1], [1, 3], [2, 0]]),
        np.array([0, 2, 2]),
        np.array([5, 7, 7]),
        no_word=3,
        **{**settings, **changes},  # type: ignore[arg-type]
    )


def test_the_stream_holds_histories_searches_and_both() -> None:
    source = stream()
    assert source.steps == 1 + 2 + 1  # one batch of histories, two of searches, one of both
    batches = list(source.batches(0))
    plain = [batch for batch in batches if not batch.searching]
    assert len(plain) == 1
    assert plain[0].words_BW.tolist() == [[3], [3]]
    assert plain[0].histories.targets_BT.tolist() in ([[1, 2], [3, 4]], [[3, 4], [1, 2]])

    by_anybody = [b for b in batches if b.searching and not b.histories.lengths_B.any()]
    found = {}
    for batch in by_anybody:
        for words, answer in zip(
            batch.words_BW.tolist(), batch.histories.items_BT.tolist(), strict=True
        ):
            found[tuple(word for word in words if word < 3)] = answer
    assert found == {(0, 1): [5], (1,): [7], (2, 0): [7]}

    (both,) = (b for b in batches if b.searching and b.histories.lengths_B.any())
    # Only the first person's last item, 2, has a search; it is the answer by its own row, 7.
    assert both.histories.items_BT.tolist() == [[0, 1]]
    assert both.histories.targets_BT.tolist() == [[1, 7]]
    assert [word for word in both.words_BW[0].tolist() if word < 3] in ([1], [2, 0])


def test_the_stream_can_be_taken_up_in_the_middle() -> None:
    source = stream(personal=0.0)
    assert source.steps == 3
    whole, rest = list(source.batches(1)), list(source.batches(1, skip=1))
    assert len(rest) == 2
    for one, other in zip(whole[1:], rest, strict=True):
        assert torch.equal(one.words_BW, other.words_BW)
        assert torch.equal(one.histories.items_BT, other.histories.items_BT)
