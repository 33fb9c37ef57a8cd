"""Questions: batches of questions and answers in words that are made anew every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np

from itemlm.sample.batches import length_bucketed

B = TypeVar("B")


class Questions(Generic[B]):
    """An example source.

    Args:
        make: the questions and answers of an epoch, the same ones every time.
        count: of them.
        batch_of: makes a batch.
        batch_size: questions.
        seed: of their order.
    """

    def __init__(
        self,
        make: Callable[[int], tuple[list[str], list[str]]],
        count: int,
        batch_of: Callable[[list[str], list[str]], B],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self.make, self.batch_of, self.batch_size, self.seed = make, batch_of, batch_size, seed
        self.steps = -(-count // batch_size)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[B]:
        """The batches of an epoch, without its first `skip`; questions of a length together."""
        asks, answers = self.make(epoch)
        words = np.array([ask.count(" ") for ask in asks])
        rng = np.random.default_rng([self.seed, epoch, 1])
        for chosen in length_bucketed(words, self.batch_size, rng)[skip:]:
            yield self.batch_of([asks[at] for at in chosen], [answers[at] for at in chosen])
