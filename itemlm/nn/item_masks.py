"""Who may look at whom where an item is several tokens: masks by the item that a token belongs to.

Shapes      T items, Q tokens of each, S = T * Q tokens, item after item.
"""

from __future__ import annotations

import torch
from torch import Tensor


def blockwise_causal(items: int, tokens: int, device: torch.device | None = None) -> Tensor:
    """mask_SS: a token looks at all tokens of its own item and of the items before it."""
    item_S = torch.arange(items, device=device).repeat_interleave(tokens)
    return item_S[:, None] >= item_S


def blockwise_causal_alone(items: int, tokens: int, device: torch.device | None = None) -> Tensor:
    """mask_SS: a token looks at itself and at the items before, at no other token of its own."""
    item_S = torch.arange(items, device=device).repeat_interleave(tokens)
    own_SS = torch.eye(len(item_S), dtype=torch.bool, device=device)
    return (item_S[:, None] > item_S) | own_SS
