"""Cross-entropy of the next code of a Semantic ID.

Shapes      M codes to predict at a level, V codes of that level, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from itemlm.objectives.objective import Objective


class NextCode(Objective):
    """Mean cross-entropy of the codes, those of all levels alike.

    Needs a model with `model(batch)` returning, for each level, logits_MV and the right codes_M.
    """

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The mean over the batch."""
        return {"next_code": code_cross_entropy(model(batch))}


def code_cross_entropy(levels: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean over all codes, given logits_MV and the right codes_M of each level."""
    sums = [cross_entropy(logits.float(), codes, reduction="sum") for logits, codes in levels]
    return torch.stack(sums).sum() / sum(len(codes) for _, codes in levels)


def next_code() -> NextCode:
    """Cross-entropy of the next code; see `NextCode`."""
    return NextCode()
