"""Attention of causal models in training on a processor: plain products where they are faster.

transformers' "sdpa" is PyTorch's fused attention, whose backward pass in bfloat16 on a processor
takes most of a training step; `itemlm.nn.attention.mixed` knows when plain products are better.

Shapes      B prompts, H heads, T queries, S keys, E width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from itemlm.lm.words import transformers
from itemlm.nn.attention import KeysValues, mixed

NAME = "itemlm_plain"


def use_plain_attention(model: Any) -> None:
    """Let a model that uses "sdpa" attention take `plain_attention` instead."""
    transformers()
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if model.config._attn_implementation != "sdpa":
        return
    ALL_ATTENTION_FUNCTIONS.register(NAME, plain_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def plain_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> tuple[Tensor, Any]:
    """What transformers calls for its "sdpa" attention, with the same result up to rounding.

    Args:
        module: whose heads these are.
        query: [B, H, T, E].
        key: [B, H, S, E].
        value: [B, H, S, E].
        attention_mask: [B, 1, T, S], or None where nothing is masked but the future.
        options: of transformers' own attention.

    Returns:
        [B, T, H, E], and None.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    device = query.device.type
    trains_low = torch.is_autocast_enabled(device) and torch.is_grad_enabled()
    shares_keys = query.shape[1] != key.shape[1]
    if device != "cpu" or not trains_low or shares_keys or options.get("dropout"):
        attend = ALL_ATTENTION_FUNCTIONS["sdpa"]
        out: tuple[Tensor, Any] = attend(module, query, key, value, attention_mask, **options)
        return out
    width, scale = query.shape[-1], options.get("scaling")
    if scale is not None:  # `mixed` divides by the root of the width
        query = query * (scale * width**0.5)
    low = torch.get_autocast_dtype(device)
    seen = KeysValues(key.to(low), value.to(low))
    causal = attention_mask is None and query.shape[2] > 1
    return mixed(query.to(low), seen, attention_mask, causal).transpose(1, 2), None
