"""Full-softmax cross-entropy over the whole catalog, without ever holding all logits at once.

The plain version is `torch.nn.functional.cross_entropy(state_MD @ items_ND.T, targets_M)`. The
function below gives the same loss and gradients in chunks of rows: since the gradient of the loss
needs only the softmax of the chunk, it is computed on the way forward and the logits are dropped.

Shapes      M positions with a target, N items, D width, C rows of a chunk.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from itemlm.objectives.objective import Objective
from itemlm.sample.next_items import SequenceBatch

CHUNK_BYTES = 4 * 2**20  # of float32 logits: small enough to stay in a processor's cache

GPU_CHUNK_BYTES = 2**30
LEAST_ROWS = 16  # each chunk adds a gradient for all items, which must be worth it


class _ChunkedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state_MD: Tensor, items_ND: Tensor, targets_M: Tensor) -> Tensor:
        budget = GPU_CHUNK_BYTES if state_MD.is_cuda else CHUNK_BYTES
        rows = max(LEAST_ROWS, budget // (4 * len(items_ND)))
        grad_state_MD = torch.empty_like(state_MD)
        grad_items_ND = torch.zeros_like(items_ND, dtype=torch.float32)
        loss = torch.zeros((), device=state_MD.device)
        for start in range(0, len(state_MD), rows):
            state_CD = state_MD[start : start + rows]
            targets_C1 = targets_M[start : start + rows, None]
            logits_CN = (state_CD @ items_ND.T).float()
            log_norm_C1 = logits_CN.logsumexp(1, keepdim=True)
            loss += (log_norm_C1 - logits_CN.gather(1, targets_C1)).sum()
            # d loss / d logits = softmax - one_hot(target), in place of the logits
            grad_CN = logits_CN.sub_(log_norm_C1).exp_()
            minus_one_C1 = grad_CN.new_full((len(grad_CN), 1), -1.0)
            grad_CN.scatter_add_(1, targets_C1, minus_one_C1)
            grad_CN = grad_CN.to(items_ND.dtype)
            grad_state_MD[start : start + rows] = grad_CN @ items_ND
            grad_items_ND += grad_CN.T @ state_CD
        count = len(state_MD)
        grad_items_ND = grad_items_ND.div_(count).to(items_ND.dtype)
        ctx.save_for_backward(grad_state_MD.div_(count), grad_items_ND)
        return loss / count

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (grad,) = grad_outputs
        grad_state_MD, grad_items_ND = ctx.saved_tensors
        return grad_state_MD * grad, grad_items_ND * grad, None


def chunked_softmax(state_MD: Tensor, items_ND: Tensor, targets_M: Tensor) -> Tensor:
    """Mean cross-entropy of each state's softmax over all items against its target item.

    Under autocast the matrix products run in the lower precision, the softmax in float32.
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
        has_target_BT = batch.targets_BT >= 0
        state_MD = model(batch)[has_target_BT]
        items_ND = model.item_vectors()  # type: ignore[operator]
        return {"softmax": chunked_softmax(state_MD, items_ND, batch.targets_BT[has_target_BT])}


def softmax() -> Softmax:
    """Full-softmax cross-entropy; see `Softmax`."""
    return Softmax()
