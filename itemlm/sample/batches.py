"""Where batches come from: an example source gives the same batches for the same seed and epoch.

That is what lets an interrupted run resume in the middle of an epoch with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from itemlm.types import IntArray

B = TypeVar("B", covariant=True)


class Batch(Protocol):
    """A frozen dataclass of tensors that can move to a device."""

    def to(self, device: torch.device) -> Any:
        """The same batch on another device."""
        ...


class Examples(Protocol[B]):
    """An example source.

    Attributes:
        steps: batches in an epoch.
    """

    steps: int

    def batches(self, epoch: int, skip: int = 0) -> Iterator[B]:
        """The batches of an epoch, without its first `skip`."""
        ...


def length_bucketed(
    lengths: IntArray, batch_size: int, rng: np.random.Generator, buckets: int = 50
) -> list[IntArray]:
    """A random order cut into batches of similar length, so that little of a batch is padding.

    Examples are shuffled, sorted by length inside groups of `buckets` batches, cut into batches,
    and the batches are shuffled.
    """
    order = rng.permutation(len(lengths))
    group = np.arange(len(order)) // (batch_size * buckets)
    order = order[np.lexsort((lengths[order], group))]
    cuts = np.arange(batch_size, len(order), batch_size)
    batches = np.split(order, cuts)
    return [batches[place] for place in rng.permutation(len(batches))]


def gather_windows(
    values: IntArray, starts_B: IntArray, lengths_B: IntArray, padding: int
) -> Tensor:
    """[B, T] windows of a flat array, left-aligned and padded on the right; T is the longest."""
    columns_T = np.arange(max(1, int(lengths_B.max(initial=0))))
    inside_BT = columns_T < lengths_B[:, None]
    places_BT = np.where(inside_BT, starts_B[:, None] + columns_T, 0)
    return torch.from_numpy(np.where(inside_BT, values[places_BT], padding).astype(np.int64))
