"""One level of a search in itemlm: all beams' children in one gather, and the best of them."""

from __future__ import annotations

import codes
import common
import numpy as np
import torch

from itemlm.retrieve.branches import branches
from itemlm.tokenize.trie import Trie

asked = common.settings()
torch.set_num_threads(asked["threads"])
codes_NL = codes.load(asked["folder"])["codes_NL"]
trie = Trie.build(codes_NL)
levels = branches(trie, torch.device("cpu"))


def nodes(prefix_BKl: np.ndarray) -> torch.Tensor:
    """[B, K] where each prefix is in the trie; a search knows this without looking."""
    depth = prefix_BKl.shape[-1]
    first_leaf_P = trie.levels[depth - 1].first_leaf[:-1]
    prefixes = map(tuple, codes_NL[trie.row_of_leaf[first_leaf_P], :depth].tolist())
    node_of = {prefix: node for node, prefix in enumerate(prefixes)}
    found = [node_of[tuple(prefix)] for prefix in prefix_BKl.reshape(-1, depth).tolist()]
    return torch.tensor(found).view(prefix_BKl.shape[:2])


steps = [
    (level, nodes(step.prefix_BKl), torch.from_numpy(step.score_BK), torch.from_numpy(step.log_BKV))
    for level, step in zip(levels[1:], codes.load_steps(asked["folder"]), strict=True)
]


def best() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The best continuations of each query, level by level."""
    found = []
    for level, node_BK, score_BK, log_BKV in steps:
        _, code_BKM, bar_BKM = level.below(node_BK)
        score_BKM = score_BK[..., None] + log_BKV.gather(2, code_BKM) + bar_BKM
        best_BK, pick_BK = score_BKM.flatten(1).topk(asked["beams"])
        code_BK = code_BKM.flatten(1).gather(1, pick_BK)
        found.append((pick_BK // level.max_children * log_BKV.shape[2] + code_BK, best_BK))
    return found


codes.report_steps(asked, best, ("torch",))
