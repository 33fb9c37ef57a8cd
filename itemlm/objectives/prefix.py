"""Prefix losses: keep every beginning of the right path above those that a beam would prefer.

Cross-entropy asks that each code be likely after the right ones. Beam search asks for more: after
every step the whole path so far must be among the best, or it is dropped for good. So each prefix
of the right path gets a loss of its own, and the worst of them the largest weight.

With S_t the log-probability of the first t codes of a path, / tau everywhere a temperature,

    point-wise    L_t = -S_t / (t tau)
    pair-wise     L_t = -1/t log( exp(S_t+ / tau)
                                  / (exp(S_t+ / tau) + rho_t sum over negatives exp(S_t- / tau)) )
    weights       w_t  proportional to  L_t exp(eta L_t),  without gradient, of each batch anew
    loss          sum over t of w_t L_t

Yu et al., "APAO: Adaptive Prefix-Aware Optimization for Generative Recommendation", 2026.
arXiv:2603.02730

Cost of the pair-wise form, with K negatives, T items read and L codes each: one more pass over the
history (T L tokens) and (K + 1) (L - 1) tokens that are written after it, of which each looks at
the history and its own path. With T = 20, L = 4 and K = 20, that is 80 + 63 tokens on top of 80.

Shapes      M items to predict, V codes of a level, L levels, B histories, N items, K negatives,
            P = K + 1 paths of which the first is right, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from itemlm.objectives.objective import Objective
from itemlm.sample.next_items import SequenceBatch


def adaptive_weights(loss_L: Tensor, eta: float) -> Tensor:
    """[L] weights that sum to 1 and grow with the loss of a prefix; no gradient goes through."""
    loss_L = loss_L.detach()
    grown_L = loss_L * (eta * (loss_L - loss_L.amax())).exp()  # the shift cancels out
    total = grown_L.sum()
    even_L = torch.full_like(grown_L, 1 / len(grown_L))
    return torch.where(total > 0, grown_L / total.clamp(min=1e-30), even_L)


class _Prefixes(Objective):
    """What both forms share: the weights, and the terms that are reported."""

    def __init__(self, eta: float, temperature: float) -> None:
        super().__init__()
        self.eta, self.temperature = eta, temperature

    def losses(self, model: nn.Module, batch: Any) -> Tensor:
        """loss_L of the prefixes of each length."""
        raise NotImplementedError

    def forward(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The weighted loss of all prefixes."""
        loss_L = self.losses(model, batch)
        return {"prefix": (adaptive_weights(loss_L, self.eta) * loss_L).sum()}


class PointwisePrefixes(_Prefixes):
    """Each prefix of the right path should be likely.

    Needs a model with `model(batch)` returning, for each level, logits_MV and the right codes_M;
    added to `next_code()` it shares that pass. A path that has ended keeps the score of its end,
    as in beam search.
    """

    def losses(self, model: nn.Module, batch: Any) -> Tensor:
        """L_t, the mean over the batch."""
        levels = model(batch)
        # sum over items of log p of their code on each level; then S_t, summed over items
        step_L = torch.stack(
            [-cross_entropy(logits.float(), codes, reduction="sum") for logits, codes in levels]
        )
        score_L = step_L.cumsum(0) / len(levels[0][1])
        lengths_L = torch.arange(1, len(score_L) + 1, device=score_L.device)
        return -score_L / (lengths_L * self.temperature)


class PairwisePrefixes(_Prefixes):
    """Each prefix of the right path should be likelier than those of items drawn at random.

    Needs a model with `read` and `write`, as beam search does. The right item of each history is
    its last target. Negatives are uniform over the catalog, K for each history; where one shares a
    prefix with the right item, it does not count at that length. rho_t scales the negatives that
    count up to all other prefixes of that length.

    Args:
        codes_NL: the path of each item, -1 after the end of a shorter one.
        negatives: K.
        eta: how much the worst prefix counts.
        temperature: of the scores.
    """

    codes_NL: Tensor
    others_L: Tensor

    def __init__(self, codes_NL: Tensor, negatives: int, eta: float, temperature: float) -> None:
        super().__init__(eta, temperature)
        self.negatives = negatives
        levels = range(1, codes_NL.shape[1] + 1)
        others = [len(torch.unique(codes_NL[:, :t], dim=0)) - 1.0 for t in levels]
        self.register_buffer("codes_NL", codes_NL, persistent=False)
        self.register_buffer("others_L", torch.tensor(others), persistent=False)

    def losses(self, model: nn.Module, batch: SequenceBatch) -> Tensor:
        """L_t, the mean over the batch."""
        rows_B = torch.arange(len(batch.items_BT), device=batch.items_BT.device)
        right_B = batch.targets_BT[rows_B, batch.lengths_B - 1]
        drawn_BK = torch.randint(
            len(self.codes_NL), (len(rows_B), self.negatives), device=right_B.device
        )
        codes_BPL = self.codes_NL[torch.cat([right_B[:, None], drawn_BK], dim=1)]
        return pairwise_losses(
            path_scores(model, batch, codes_BPL) / self.temperature, codes_BPL, self.others_L
        )


def path_scores(model: Any, batch: Any, codes_BPL: Tensor) -> Tensor:
    """[B, P, L] log-probability of each prefix of many paths after a history, with gradients.

    The history is read once, and all its paths are written side by side, as beams are.
    """
    batch_size, paths, levels = codes_BPL.shape
    logits_BKV, written = model.read(batch, paths)
    parent_BP = torch.zeros(batch_size, paths, dtype=torch.long, device=codes_BPL.device)
    steps = []
    for level in range(levels):
        code_BP = codes_BPL[..., level]
        log_BKV = logits_BKV.float().log_softmax(-1).expand(-1, paths, -1)
        log_BP = log_BKV.gather(2, code_BP.clamp(min=0)[..., None])[..., 0]
        steps.append(log_BP.where(code_BP >= 0, 0.0))
        if level + 1 < levels:
            logits_BKV = model.write(written, parent_BP, code_BP)
            parent_BP = torch.arange(paths, device=code_BP.device).expand(batch_size, -1)
    return torch.stack(steps, dim=-1).cumsum(-1)


def pairwise_losses(score_BPL: Tensor, codes_BPL: Tensor, others_L: Tensor) -> Tensor:
    """[L] L_t of the pair-wise form, the mean over histories.

    Args:
        score_BPL: S_t / tau; the first path is right, the others are negatives.
        codes_BPL: the paths.
        others_L: how many prefixes of each length there are besides the right one.
    """
    right_B1L, negative_BKL = score_BPL[:, :1], score_BPL[:, 1:]
    shares_BKL = (codes_BPL[:, 1:] == codes_BPL[:, :1]).long().cumprod(-1).bool()
    count_B1L = (~shares_BKL).sum(1, keepdim=True)
    rho_B1L = others_L / count_B1L.clamp(min=1)
    negative_BKL = (negative_BKL + rho_B1L.log()).masked_fill(shares_BKL, -torch.inf)
    loss_BL = torch.cat([right_B1L, negative_BKL], dim=1).logsumexp(1) - right_B1L[:, 0]
    lengths_L = torch.arange(1, loss_BL.shape[1] + 1, device=loss_BL.device)
    return loss_BL.mean(0) / lengths_L


def pointwise_prefixes(eta: float = 0.0, temperature: float = 1.0) -> PointwisePrefixes:
    """The loss of every prefix of the right path; see `PointwisePrefixes`."""
    return PointwisePrefixes(eta, temperature)


def pairwise_prefixes(
    codes_NL: Tensor, negatives: int = 100, eta: float = 0.0, temperature: float = 1.0
) -> PairwisePrefixes:
    """The loss of every prefix against those of other items; see `PairwisePrefixes`."""
    return PairwisePrefixes(codes_NL, negatives, eta, temperature)
