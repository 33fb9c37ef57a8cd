"""One level of a search in transformers: its logits processor asks a dict about every beam."""

from __future__ import annotations

import codes
import common
import numpy as np
import torch
from transformers import PrefixConstrainedLogitsProcessor

asked = common.settings()
torch.set_num_threads(asked["threads"])
children = codes.children_by_prefix(codes.load(asked["folder"])["codes_NL"])
beams = asked["beams"]
allow = PrefixConstrainedLogitsProcessor(
    lambda _, tokens: children[tuple(tokens[1:].tolist())], num_beams=beams
)
steps = []
for step in codes.load_steps(asked["folder"]):
    prefix_Xl = step.prefix_BKl.reshape(-1, step.prefix_BKl.shape[2])
    tokens_Xl = np.concatenate([np.zeros((len(prefix_Xl), 1), dtype=np.int64), prefix_Xl], axis=1)
    log_XV = step.log_BKV.reshape(len(prefix_Xl), -1)
    steps.append([torch.from_numpy(part) for part in (tokens_Xl, step.score_BK, log_XV)])


def best() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The best continuations of each query, level by level."""
    found = []
    for tokens_Xl, score_BK, log_XV in steps:
        score_BKV = allow(tokens_Xl, log_XV).view(*score_BK.shape, -1) + score_BK[..., None]
        best_BK, pick_BK = score_BKV.flatten(1).topk(beams)
        found.append((pick_BK, best_BK))
    return found


codes.report_steps(asked, best, ("torch", "transformers"))
