"""Bi-encoder: moves given text vectors so that what belongs together comes close.

One encoder for everything that has a text. It starts as the identity, so that little training keeps
what the vectors knew.

Shapes      X any shape, E width of the given vectors.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from itemlm.nn.perceptron import perceptron


class BiEncoder(nn.Module):
    """A vector of length 1 for each given vector: itself and what a perceptron adds.

    Args:
        given: width of the given vectors, and of the result.
        inner: width inside the perceptron.
        dropout: on what is added.
    """

    def __init__(self, given: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.added = perceptron((given, inner, given))
        self.dropout = nn.Dropout(dropout)
        last = self.added[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, given_XE: Tensor) -> Tensor:
        """[..., E] of length 1."""
        out_XE: Tensor = normalize(given_XE + self.dropout(self.added(given_XE)), dim=-1)
        return out_XE
