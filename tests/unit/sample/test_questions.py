"""Questions: made anew every epoch, bucketed by length, the same every time."""

import pytest

pytest.importorskip("torch")

from itemlm.sample.questions import Questions


def made(epoch):
    return [f"ask {epoch}" + " so" * n for n in range(5)], [f"say {n}" for n in range(5)]


def test_batches_of_an_epoch():
    source = Questions(made, 5, lambda *parts: parts, batch_size=2, seed=0)
    batches = list(source.batches(1))
    assert len(batches) == source.steps == 3
    assert batches == list(source.batches(1))
    assert batches[1:] == list(source.batches(1, skip=1))
    pairs = [pair for asks, answers in batches for pair in zip(asks, answers, strict=True)]
    assert sorted(pairs) == sorted(zip(*made(1), strict=True))
    # Neighbors in length stand together.
    spans = sorted(tuple(sorted(ask.count("so") for ask in asks)) for asks, _ in batches)
    assert spans == [(0, 1), (2, 3), (4,)]
