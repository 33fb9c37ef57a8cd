"""Which preference goes with which example."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from itemlm.data.sequences import Sequences
from itemlm.sample.preferences import Mix, Preferences
from itemlm.text.preferences import REFUSALS, WISHES, refusal, shared, usual, wish

# Items 0, 1, 2 are red; 3, 4 blue; 2 and 3 are large as well.
PHRASES = [["red"], ["red"], ["red", "large"], ["blue", "large"], ["blue"]]


def batches(histories, **shares):
    mix = Mix(**({"steered": 0.0, "refused": 0.0, "none": 0.0} | shares))
    sequences = Sequences(
        offsets=np.cumsum([0, *map(len, histories)]),
        item_rows=np.concatenate(histories).astype(np.int32),
    )
    source = Preferences(sequences, PHRASES, mix, padding=5, length=4, batch_size=8, seed=0)
    return source, [batch for epoch in range(6) for batch in source.batches(epoch)]


def examples(found):
    for batch in found:
        for row, text in enumerate(batch.texts):
            length = int(batch.lengths_B[row])
            history = batch.items_BT[row, :length].tolist()
            yield history, text, int(batch.targets_BT[row, length - 1])


def all_forms(phrase):
    return {form.format(phrase) for form in WISHES}


def test_templates():
    assert wish("red") == "Find red."
    assert refusal("red") == "Avoid red."
    assert {wish("red", form) for form in range(4)} == all_forms("red")
    assert shared(PHRASES, [0, 2], 3) == ["large"]
    # red twice; large once; blue does not occur
    assert usual(PHRASES, [0, 2], 5) == ["red", "large"]
    # of equals, those of the later item first
    assert usual(PHRASES, [0, 4], 1) == ["blue"]


def test_kept_preferences_are_of_the_history_and_nearest_to_the_target():
    _, found = batches([[0, 2, 3], [0, 4]])
    for history, text, right in examples(found):
        if history == [0] and right == 2:
            assert text in all_forms("red")
        elif history == [0, 2]:  # then 3, which is large too, but blue
            assert text in all_forms("large")
        else:  # of item 4 the history shows nothing: its own phrase
            assert (history, right) == ([0], 4)
            assert text in all_forms("blue")


def test_steered_preferences_are_of_the_target_after_another_history():
    _, found = batches([[0, 1], [4, 3], [1, 0]], steered=0.999)
    for history, text, right in examples(found):
        assert text in set.union(*(all_forms(phrase) for phrase in PHRASES[right]))
        assert (history[0], right) not in {(0, 1), (4, 3), (1, 0)}


def test_refused_preferences_are_of_the_history_and_not_of_the_target():
    _, found = batches([[0, 4], [0, 1]], refused=0.999)
    for _, text, right in examples(found):
        if right == 4:
            assert text in {form.format("red") for form in REFUSALS}
        else:
            assert text == ""  # there is nothing that the target is not


def test_some_are_silent_and_all_can_be_repeated():
    source, found = batches([[0, 1, 2, 3, 4]] * 20, none=0.5)
    silent = [text == "" for _, text, _ in examples(found)]
    assert 0.4 < np.mean(silent) < 0.6
    again = list(source.batches(0, skip=3))
    assert [batch.texts for batch in again] == [
        batch.texts for batch in list(source.batches(0))[3:]
    ]
