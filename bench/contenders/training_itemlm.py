"""SASRec of itemlm, and how far a step is from the bare matrix products in it."""

from __future__ import annotations

from collections.abc import Iterator

import common
import numpy as np
import torch
from steps import Clock, load, report, top10

from itemlm.data.sequences import Sequences
from itemlm.nn.linear import product
from itemlm.objectives.bce import bce
from itemlm.objectives.softmax import softmax
from itemlm.papers.sequential.sasrec import Config, SASRec
from itemlm.sample.next_items import NextItems, SequenceBatch
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run

CHUNK = 512  # rows of logits that fit into the cache: products of whole batches are slower
settings = common.settings()
torch.set_num_threads(settings["threads"])
torch.manual_seed(0)
offsets, item_rows, targets_U = load(settings)
items, length = int(max(item_rows.max(), targets_U.max())) + 1, settings["length"]
config = Config(length=length, width=64, blocks=2, heads=settings["heads"], inner=64, dropout=0.2)
clock = Clock(settings)


class Timed(NextItems):
    """Batches that are counted when the next one is asked for."""

    def batches(self, epoch: int, skip: int = 0) -> Iterator[SequenceBatch]:
        for batch in super().batches(epoch, skip):
            yield batch
            clock.step(int(batch.lengths_B.sum()))
            if clock.is_done:
                return


model = SASRec(config, items)
examples = Timed(
    Sequences(offsets=offsets, item_rows=item_rows),
    padding=items,
    length=length,
    batch_size=128,
    seed=0,
)
# Batches are of similar length: whole epochs must be timed.
if not settings["epochs"] and not settings["is_quick"]:
    clock.warm_up = examples.steps
    clock.steps = (1 + settings["own_epochs"]) * examples.steps
run = Run(quiet=True, device="cpu", precision=settings["precision"])
objective = softmax() if settings["loss"] == "softmax" else bce(1)
epochs = settings["epochs"] or 1 + settings["own_epochs"]
# A constant rate, as everyone has here; our default falls along a cosine.
optimizer = AdamW(learning_rate=1e-3, warmup=0.0, schedule="constant")
run.train(model, objective, examples, optimizer, epochs)


def rate(*shapes: tuple[int, ...]) -> float:
    """Operations a second of a matrix product of this precision, here and now: the best way."""
    dtype = torch.bfloat16 if run.low_precision else torch.float32
    left, right = (torch.randn(shape).to(dtype) for shape in shapes)
    seconds = common.seconds(lambda: left @ right, repeats=20, warm_up=3)
    if left.ndim == 2:
        with torch.no_grad():
            seconds += common.seconds(lambda: product(left, right.T), repeats=20, warm_up=3)
    return 2 * left.numel() * shapes[1][-1] / min(seconds)


def floor_seconds() -> float:
    """One epoch if it were nothing but its matrix products, forward once and backward twice."""
    width, lengths_W = config.width, examples.lengths_W.astype(np.int64)
    targets, rows = int(lengths_W.sum()), int(lengths_W.sum()) // examples.steps
    linear = 3 * 2 * targets * config.blocks * (4 * width**2 + 2 * width * config.inner)
    seconds = linear / rate((rows, width), (width, width))
    # Scores and weighted values: a position looks at half of its window on average.
    attention = 3 * 2 * config.blocks * int((lengths_W**2).sum()) * width
    heads, each = 128 * config.heads, width // config.heads
    seconds += attention / rate((heads, length, each), (heads, each, length))
    if settings["loss"] == "softmax":
        once = 2 * targets * width * items
        seconds += once / rate((CHUNK, width), (width, items))  # logits
        seconds += once / rate((CHUNK, items), (items, width))  # gradient of the states
        seconds += once / rate((width, CHUNK), (CHUNK, items))  # gradient of the items
    return seconds


lists, quality = None, {}
if settings["epochs"]:
    model.eval()
    queries = np.arange(len(targets_U))

    @torch.no_grad()
    def scores_of(start: int, stop: int) -> np.ndarray:
        windows = [item_rows[offsets[u] : offsets[u + 1]][-length:] for u in queries[start:stop]]
        lengths_B = torch.tensor([len(window) for window in windows])
        items_BT = torch.full((len(windows), length), items)
        for place, window in enumerate(windows):
            items_BT[place, : len(window)] = torch.tensor(window)
        batch = SequenceBatch(items_BT, lengths_B, torch.full_like(items_BT, -1))
        return (model.last_states(batch) @ model.item_vectors().T).numpy()

    lists = top10(scores_of, offsets, item_rows)
else:
    timed = clock.values()
    an_epoch = examples.lengths_W.sum() / timed["targets/s"]
    quality["times the floor"] = float(an_epoch / floor_seconds())
report(clock, lists, targets_U, quality=quality, versions=("itemlm", "torch"))
