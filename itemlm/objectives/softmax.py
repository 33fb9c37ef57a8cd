"""Full-softmax cross-entropy over the whole catalog, without ever holding all logits at once.

The plain version is `torch.nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)`. The
function below gives the same loss and gradients in chunks of rows: since the gradient of the loss
needs only the softmax of the chunk, it is computed on the way forward and the logits are dropped.

A chunk of logits is walked over as rarely as possible. Its softmax is never divided by its sum:
that is done to the [C, D] results. The one-hot part of the gradient is an item vector per row.

Shapes      M positions with a target, N items, D width, C rows of a chunk.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from itemlm.nn.linear import product
from itemlm.objectives.objective import Objective
from itemlm.sample.next_items import SequenceBatch

CHUNK_BYTES = 2 * 2**20  # of logits: small enough to stay in a processor's cache
GPU_CHUNK_BYTES = 2**30
LEAST_ROWS = 256  # each chunk adds a gradient for all items, which must be worth it
SAFE_LOGIT = 60.0  # exp(60) times any number of items fits into float32 and bfloat16


class _ChunkedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state_MD: Tensor, items_ND: Tensor, targets_M: Tensor) -> Tensor:
        budget = GPU_CHUNK_BYTES if state_MD.is_cuda else CHUNK_BYTES
        rows = max(LEAST_ROWS, budget // (items_ND.element_size() * len(items_ND)))
        may_overflow = _largest_logit(state_MD, items_ND) > SAFE_LOGIT
        grad_state_MD = torch.empty_like(state_MD, dtype=torch.float32)
        grad_items_DN = torch.zeros(items_ND.shape[::-1], device=state_MD.device)
        loss = torch.zeros((), device=state_MD.device)
        for start in range(0, len(state_MD), rows):
            state_CD = state_MD[start : start + rows]
            logits_CN = product(state_CD, items_ND)
            if may_overflow:
                logits_CN -= logits_CN.amax(1, keepdim=True)
            target_C1 = logits_CN.gather(1, targets_M[start : start + rows, None])
            weights_CN = logits_CN.exp_()
            norm_C1 = weights_CN.sum(1, keepdim=True, dtype=torch.float32)
            loss += (norm_C1.log() - target_C1).sum()
            # d loss / d logits = softmax - one_hot(target); the one-hot part follows the loop.
            grad_CD = product(weights_CN, items_ND.T)
            torch.div(grad_CD, norm_C1, out=grad_state_MD[start : start + rows])
            share_CD = (state_CD / norm_C1).to(items_ND.dtype)
            grad_items_DN += product(share_CD.T, weights_CN.T)
        grad_items_ND = grad_items_DN.T.contiguous()
        grad_state_MD -= items_ND.index_select(0, targets_M)
        grad_items_ND.index_add_(0, targets_M, state_MD.float(), alpha=-1)
        count = len(state_MD)
        ctx.save_for_backward(
            grad_state_MD.div_(count).to(state_MD.dtype),
            grad_items_ND.div_(count).to(items_ND.dtype),
        )
        return loss / count

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (grad,) = grad_outputs
        grad_state_MD, grad_items_ND = ctx.saved_tensors
        return grad_state_MD * grad, grad_items_ND * grad, None


def _largest_logit(state_MD: Tensor, items_ND: Tensor) -> float:
    """No logit is larger: by Cauchy and Schwarz, the product of the two longest vectors."""
    squares = [float(x.float().square().sum(1).amax()) for x in (state_MD, items_ND)]
    return sqrt(squares[0] * squares[1])


def chunked_softmax(state_MD: Tensor, items_ND: Tensor, targets_M: Tensor) -> Tensor:
    """Mean cross-entropy of each state's softmax over all items against its target item.

    Under autocast matrix products and logits are in the lower precision, sums in float32.
    """
    device = state_MD.device.type
    if torch.is_autocast_enabled(device):
        low = torch.get_autocast_dtype(device)
        state_MD, items_ND = state_MD.to(low), items_ND.to(low)
    with torch.autocast(device, enabled=False):
        loss: Tensor = _ChunkedSoftmax.apply(state_MD, items_ND, targets_M)  # type: ignore[no-untyped-call]
        return loss


class Softmax(Objective):
    """Cross-entropy over the full catalog at every position that has a target.

    Needs a model with `model(batch) -> state_BTD` and `model.item_vectors() -> items_ND`.
    """

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """The mean over the targets of the batch."""
        state_MD = batch.at_targets(model(batch))
        items_ND = model.item_vectors()  # type: ignore[operator]
        return {"softmax": chunked_softmax(state_MD, items_ND, batch.at_targets(batch.targets_BT))}


def softmax() -> Softmax:
    """Full-softmax cross-entropy; see `Softmax`."""
    return Softmax()
