"""Multi-head attention and the pre-norm transformer block.

Attention takes keys and values as arguments, so that a decoder can read a history once and let
many continuations look at it.

Shapes      B rows, T queries, S keys, D width, H heads, E width of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from itemlm.types import ConfigError

M = TypeVar("M", bound=nn.Module)


def stack(modules: Iterable[M]) -> Sequence[M]:
    """A `ModuleList` whose members keep their type."""
    return cast(Any, nn.ModuleList(modules))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class KeysValues:
    """What attention looks at: keys_BHSE and values_BHSE."""

    keys: Tensor
    values: Tensor


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
        self.query = nn.Linear(width, inner, bias=False)
        self.key_value = nn.Linear(width, 2 * inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)

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
        mixed_BHTE = scaled_dot_product_attention(
            query_BHTE,
            seen.keys,
            seen.values,
            attn_mask=mask,
            is_causal=causal,
        )
        out_BTD: Tensor = self.output(mixed_BHTE.transpose(1, 2).reshape(batch, length, -1))
        return out_BTD


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, inner, bias=False), nn.ReLU(), nn.Linear(inner, width, bias=False)
        )

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
        self.attention_norm = nn.RMSNorm(width)
        self.attention = Attention(width, heads, head_width)
        self.feed_norm = nn.RMSNorm(width)
        self.feed = FeedForward(width, inner)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Each position looks at those that `mask` or causality allows."""
        normed_BTD = self.attention_norm(x_BTD)
        seen = self.attention.read(normed_BTD)
        x_BTD = x_BTD + self.dropout(
            self.attention.attend(normed_BTD, seen, mask=mask, causal=causal)
        )
        return self.feed_forward(x_BTD)

    def feed_forward(self, x_BTD: Tensor) -> Tensor:
        """The second half of the block."""
        out: Tensor = x_BTD + self.dropout(self.feed(self.feed_norm(x_BTD)))
        return out
