"""The control: SASRec as one would write it in an afternoon, in plain PyTorch.

Fused attention, cross-entropy only where there is a target, PyTorch's own layers.
"""

from __future__ import annotations

import common
import numpy as np
import torch
from steps import Clock, load, padded, report, top10
from torch import Tensor, nn
from torch.nn import functional

settings = common.settings()
torch.set_num_threads(settings["threads"])
torch.manual_seed(0)
offsets, item_rows, targets_U = load(settings)
items, length = int(max(item_rows.max(), targets_U.max())) + 1, settings["length"]
width, heads, dropout = 64, settings["heads"], 0.2
windows = torch.from_numpy(padded(offsets, item_rows, length + 1, items))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inputs, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        rows, steps, _ = x.shape
        parts = self.inputs(self.norm(x)).view(rows, steps, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.dropout(self.output(mixed.transpose(1, 2).reshape(x.shape)))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class SASRec(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, width, padding_idx=items)
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        for table in (self.items, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, rows: Tensor) -> Tensor:
        x = self.items(rows) * width**0.5 + self.positions.weight
        return self.norm(self.blocks(self.dropout(x)))


def loss_of(state: Tensor, targets: Tensor) -> Tensor:
    table = model.items.weight[:-1]
    if settings["loss"] == "softmax":
        return functional.cross_entropy(state @ table.T, targets)
    negatives = torch.randint(items, targets.shape)
    right, wrong = (state * table[targets]).sum(-1), (state * table[negatives]).sum(-1)
    return -(functional.logsigmoid(right) + functional.logsigmoid(-wrong)).mean()


model = SASRec()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
clock, rng = Clock(settings), np.random.default_rng(0)
low = torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bfloat16")
for _ in range(settings["epochs"] or 1000):
    for batch in np.array_split(rng.permutation(len(windows)), -(-len(windows) // 128)):
        rows, targets = windows[batch, :-1], windows[batch, 1:]
        real = (rows != items) & (targets != items)
        with low:
            loss = loss_of(model(rows)[real], targets[real])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clock.step(int(real.sum()))
        if clock.is_done:
            break
    if clock.is_done:
        break

lists = None
if settings["epochs"]:
    model.eval()

    @torch.no_grad()
    def scores_of(start: int, stop: int) -> np.ndarray:
        state = model(windows[start:stop, 1:])[:, -1]
        return (state @ model.items.weight[:-1].T).numpy()

    lists = top10(scores_of, offsets, item_rows)
report(clock, lists, targets_U, versions=("torch",))
