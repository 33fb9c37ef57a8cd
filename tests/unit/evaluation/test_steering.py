"""The five axes, asked of recommenders whose behavior is known."""

import numpy as np
import pytest

from itemlm.data.held_out import HeldOut
from itemlm.evaluation.steering import AXES, steering
from itemlm.types import DataError, QueryBatch

# Items 0 to 7; even ones are red, odd ones blue, and every item has a number of its own.
PHRASES = [[("red", "blue")[item % 2], f"number {item}"] for item in range(8)]
HISTORIES = [[0, 2], [1, 3], [2, 0, 2], [3]]
ANSWERS = [4, 5, 6, 7]
HELD_OUT = HeldOut(
    queries=QueryBatch(
        offsets=np.cumsum([0, *map(len, HISTORIES)]),
        item_rows=np.concatenate(HISTORIES),
        user_rows=np.arange(4),
    ),
    target_offsets=np.arange(5),
    target_rows=np.array(ANSWERS),
    train_counts_N=np.ones(8, dtype=np.int64),
    protocol="by hand",
    tied_Q=None,
    part="test",
)


class Obeys:
    """Lists the items whose phrases are asked for, most phrases first, and drops refused ones."""

    def __init__(self):
        self.texts = []

    def topk(self, batch, k):
        texts = [""] * len(batch) if batch.texts is None else batch.texts
        self.texts += texts
        rows_BK = np.full((len(batch), k), -1)
        for line, text in zip(rows_BK, texts, strict=True):
            score = [sum(phrase in text for phrase in found) for found in PHRASES]
            asked = [item for item in range(8) if score[item] and "Avoid" not in text]
            asked.sort(key=lambda item: -score[item])
            line[: len(asked[:k])] = asked[:k]
        return rows_BK, np.zeros(rows_BK.shape)


class Deaf:
    """Always lists item 4."""

    def topk(self, batch, k):
        return np.full((len(batch), k), 4), np.zeros((len(batch), k))


def test_who_obeys_gains_and_who_is_deaf_does_not():
    obedient = steering(Obeys(), HELD_OUT, PHRASES, k=1)
    assert [axis.name for axis in obedient] == list(AXES)
    gains = {axis.name: axis.gain[0] for axis in obedient}
    # The telling phrase is the number, which names the item.
    assert gains["fine"] == gains["coarse"] == gains["sentiment"] == 1.0
    deaf = {axis.name: axis for axis in steering(Deaf(), HELD_OUT, PHRASES, k=1)}
    for name in ("recommendation", "fine", "coarse", "consolidation"):
        assert deaf[name].gain[0] == 0.0
        assert deaf[name].with_words_Q.mean() == 1 / 4  # where 4 is right
    assert not deaf["sentiment"].with_words_Q.any()  # listed even when refused


def test_what_is_said_on_each_axis():
    obeys = Obeys()
    steering(obeys, HELD_OUT, PHRASES, k=1)
    said = [text for text in obeys.texts if text]
    # recommendation: of what a history shows, what the answer has too.
    assert said[:4] == ["Find red.", "Find blue.", "Find red.", "Find blue."]
    # fine and coarse: what tells the answer from all others.
    assert said[4:8] == said[8:12] == [f"Find number {item}." for item in ANSWERS]
    # sentiment: for it, and then against it.
    assert said[12:16] == said[4:8]
    assert said[16:20] == [f"Avoid number {item}." for item in ANSWERS]
    # consolidation: all that a history shows, the frequent first.
    assert said[20] == "Find red. Find number 2. Find number 0."


def test_histories_are_somebody_elses():
    seen = []

    class Notes(Deaf):
        def topk(self, batch, k):
            histories = np.split(batch.item_rows, batch.offsets[1:-1])
            seen.append([history.tolist() for history in histories])
            return super().topk(batch, k)

    steering(Notes(), HELD_OUT, PHRASES)
    fine, coarse, sentiment = seen[2], seen[4], seen[6]
    for place in range(4):
        for other in (fine[place], coarse[place]):
            assert other in HISTORIES
            assert other != HISTORIES[place]
            assert ANSWERS[place] not in other
        color = ANSWERS[place] % 2
        # Whoever takes red answers has red histories here.
        assert all(item % 2 == color for item in fine[place])
        assert all(item % 2 != color for item in coarse[place])
    assert sentiment == [[]] * 4


def test_nothing_to_ask_about_is_a_sentence():
    with pytest.raises(DataError, match="no question can be asked on the axis 'recommendation'"):
        steering(Deaf(), HELD_OUT, [[] for _ in range(8)])
