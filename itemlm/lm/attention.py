"""Attention of many continuations to one memory that they share.

transformers keeps a copy of what an encoder read for every beam. Here the beams of a prompt are
the rows of a batch for everything else, but in attention to the prompt they are its queries, so
that its keys and values exist once.

Shapes      B prompts, K beams of each, H heads, S tokens of a prompt, E width of a head.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from itemlm.lm.words import transformers

NAME = "itemlm_shared"


def share_memory(model: Any) -> None:
    """Let a model take fewer memories than it has rows: row b * K + k looks at memory b."""
    transformers()
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, shared_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def shared_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> tuple[Tensor, Any]:
    """What transformers calls for its "sdpa" attention, where there may be K queries per memory.

    Args:
        module: whose heads these are.
        query: [B, H, T, E], or [B * K, H, 1, E].
        key: [B, H, S, E].
        value: [B, H, S, E].
        attention_mask: [B, 1 or H, T or 1, S].
        options: of transformers' own attention.

    Returns:
        [B, T, H, E] or [B * K, 1, H, E], and None.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    attend = ALL_ATTENTION_FUNCTIONS["sdpa"]
    beams = len(query) // len(key)
    if beams == 1:
        out: tuple[Tensor, Any] = attend(module, query, key, value, attention_mask, **options)
        return out
    _, heads, _, width = query.shape
    query_BHKE = query.view(len(key), beams, heads, width).transpose(1, 2)
    mixed_BKHE, weights = attend(
        module, query_BHKE, key, value, attention_mask, **options | {"is_causal": False}
    )
    return mixed_BKHE.flatten(0, 1)[:, None], weights
