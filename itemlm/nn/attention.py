"""Multi-head attention and the pre-norm transformer block.

Attention takes keys and values as arguments, so that a decoder can read a history once and let
many continuations look at it.

Shapes      B rows, T queries, S keys, D width, H heads, E width of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from itemlm.nn.dropout import Dropout
from itemlm.nn.linear import Linear
from itemlm.nn.norm import RMSNorm
from itemlm.types import ConfigError

M = TypeVar("M", bound=nn.Module)

MOST_PLAIN_SCORES = 256 * 256  # queries times keys; beyond, scores no longer fit into the cache


def stack(modules: Iterable[M]) -> Sequence[M]:
    """A `ModuleList` whose members keep their type."""
    return cast(Any, nn.ModuleList(modules))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class KeysValues:
    """What attention looks at: keys_BHSE and values_BHSE."""

    keys: Tensor
    values: Tensor


def mixed(query_BHTE: Tensor, seen: KeysValues, mask: Tensor | None, causal: bool) -> Tensor:
    """[B, H, T, E] the values seen by each query, weighted by how well their keys match.

    This is PyTorch's `scaled_dot_product_attention`, whose backward pass in bfloat16 on a processor
    takes two to seven times as long as plain matrix products: there, those are taken instead,
    unless sequences are so long that only the fused kernel has room.
    """
    scores = query_BHTE.shape[2] * seen.keys.shape[2]
    is_low_on_cpu = query_BHTE.device.type == "cpu" and query_BHTE.dtype == torch.bfloat16
    if is_low_on_cpu and scores <= MOST_PLAIN_SCORES:
        return _mixed_plainly(query_BHTE, seen, mask, causal)
    return scaled_dot_product_attention(
        query_BHTE, seen.keys, seen.values, attn_mask=mask, is_causal=causal
    )


def _mixed_plainly(
    query_BHTE: Tensor, seen: KeysValues, mask: Tensor | None, causal: bool
) -> Tensor:
    """softmax(query @ keys.T / sqrt(E) + bias) @ values; rows and heads are one axis, X."""
    rows, heads, length, width = query_BHTE.shape
    bias = query_BHTE.new_zeros(length, seen.keys.shape[2])
    lowest = torch.finfo(bias.dtype).min  # not -inf: a row that sees nothing must not become NaN
    if causal:
        bias = bias.masked_fill_(torch.ones_like(bias, dtype=torch.bool).triu_(1), lowest)
    if mask is not None:
        bias = bias.masked_fill(~mask, lowest) if mask.dtype == torch.bool else bias + mask
        bias = bias.expand(rows, heads, -1, -1).flatten(0, 1)
    query_XTE, keys_XSE, values_XSE = (
        part.flatten(0, 1) for part in (query_BHTE, seen.keys, seen.values)
    )
    scores_XTS = torch.baddbmm(bias, query_XTE, keys_XSE.mT, alpha=width**-0.5)
    return (scores_XTS.softmax(-1) @ values_XSE).view(rows, heads, length, -1)


class Attention(nn.Module):
    """Scaled dot-product attention; `head_width` need not divide `width`."""

    def __init__(self, width: int, heads: int, head_width: int | None = None) -> None:
        super().__init__()
        if head_width is None and width % heads:
            raise ConfigError(
                f"width {width} cannot be split evenly into {heads} heads; "
                "choose a multiple or give head_width."
            )
        self.heads = heads
        self.head_width = width // heads if head_width is None else head_width
        inner = heads * self.head_width
        self.query = Linear(width, inner)
        self.key_value = Linear(width, 2 * inner)
        self.output = Linear(inner, width)

    def read(self, memory_BSD: Tensor) -> KeysValues:
        """Keys and values of what may be attended to."""
        batch, length, _ = memory_BSD.shape
        both = self.key_value(memory_BSD).view(batch, length, 2, self.heads, self.head_width)
        keys, values = both.permute(2, 0, 3, 1, 4).unbind(0)
        return KeysValues(keys, values)

    def attend(
        self, x_BTD: Tensor, seen: KeysValues, *, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend from each position of x; `mask` is True (or a bias) where it may look."""
        batch, length, _ = x_BTD.shape
        query_BHTE = self.query(x_BTD).view(batch, length, self.heads, -1).transpose(1, 2)
        mixed_BHTE = mixed(query_BHTE, seen, mask, causal)
        out_BTD: Tensor = self.output(mixed_BHTE.transpose(1, 2).reshape(batch, length, -1))
        return out_BTD


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Linear(width, inner), nn.ReLU(), Linear(inner, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each position on its own."""
        out: Tensor = self.layers(x_BTD)
        return out


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward layers, each added to its input.

    Dropout acts on what is added, not inside attention or the feed-forward layers: fused attention
    kernels have no place for it, and on a processor it would cost a third of a training step.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        inner: int,
        dropout: float,
        head_width: int | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(width)
        self.attention = Attention(width, heads, head_width)
        self.feed_norm = RMSNorm(width)
        self.feed = FeedForward(width, inner)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Each position looks at those that `mask` or causality allows."""
        normed_BTD = self.attention_norm(x_BTD)
        seen = self.attention.read(normed_BTD)
        x_BTD = x_BTD + self.dropout(
            self.attention.attend(normed_BTD, seen, mask=mask, causal=causal)
        )
        return self.feed_forward(x_BTD)

    def last(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """[B, D] what `forward` gives, if causal, at the last real position of each row.

        Keys and values are needed of all positions, but the rest of the work only of one.
        """
        normed_BTD = self.attention_norm(x_BTD)
        seen = self.attention.read(normed_BTD)
        rows_B1 = torch.arange(len(x_BTD), device=x_BTD.device)[:, None]
        last_B1 = lengths_B[:, None] - 1
        columns_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        mask_B11T = (columns_T <= last_B1)[:, None, None]
        mixed_B1D = self.attention.attend(normed_BTD[rows_B1, last_B1], seen, mask=mask_B11T)
        return self.feed_forward(x_BTD[rows_B1, last_B1] + self.dropout(mixed_B1D))[:, 0]

    def feed_forward(self, x_BTD: Tensor) -> Tensor:
        """The second half of the block."""
        out: Tensor = x_BTD + self.dropout(self.feed(self.feed_norm(x_BTD)))
        return out
