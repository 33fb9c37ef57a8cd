"""One level of a search without a trie: every prefix is compared with all items' codes."""

from __future__ import annotations

import codes
import common
import numpy as np
import torch

asked = common.settings()
torch.set_num_threads(asked["threads"])
codes_NL = codes.load(asked["folder"])["codes_NL"]
codes_LN = torch.from_numpy(np.ascontiguousarray(codes_NL.T.astype(np.int16)))
steps = [
    (
        torch.from_numpy(step.prefix_BKl.astype(np.int16)),
        torch.from_numpy(step.score_BK),
        torch.from_numpy(step.log_BKV),
    )
    for step in codes.load_steps(asked["folder"])
]


def allowed(prefix_Kl: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """[K, V] the tokens that follow each prefix in some item; one query at a time, for memory."""
    matches_KN = codes_LN[0] == prefix_Kl[:, :1]
    for level in range(1, prefix_Kl.shape[1]):
        matches_KN &= codes_LN[level] == prefix_Kl[:, level, None]
    beam, row = matches_KN.nonzero(as_tuple=True)
    allowed_KV = torch.zeros(len(prefix_Kl), vocabulary, dtype=torch.bool)
    allowed_KV[beam, codes_LN[prefix_Kl.shape[1], row].long()] = True
    return allowed_KV


def best() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The best continuations of each query, level by level."""
    found = []
    for prefix_BKl, score_BK, log_BKV in steps:
        allowed_BKV = torch.stack([allowed(one, log_BKV.shape[2]) for one in prefix_BKl])
        score_BKV = (log_BKV + score_BK[..., None]).masked_fill_(~allowed_BKV, -torch.inf)
        best_BK, pick_BK = score_BKV.flatten(1).topk(asked["beams"])
        found.append((pick_BK, best_BK))
    return found


codes.report_steps(asked, best, ("torch",))
