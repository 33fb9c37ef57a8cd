"""A code transformer whose encoder reads words instead of codes: a preference, then what was taken.

A reader turns the preference and the history into vectors; the encoder lets them look at each
other, and the decoder that writes codes looks at the result. So what is asked for in words reaches
every code by the same path as what was taken.

Shapes      B histories, T items, W words of a preference, X words of a title, S tokens read,
            N items, E width of given vectors, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from itemlm.nn.attention import KeysValues
from itemlm.nn.code_transformer import EncoderDecoder, Shape, item_positions
from itemlm.nn.linear import Linear
from itemlm.sample.preferences import PreferenceBatch
from itemlm.types import FloatArray, IntArray

Given = tuple[Tensor, Tensor, Tensor, Tensor]  # what readers give; see `PreferenceReader`


class PreferenceReader(nn.Module):
    """Turns a preference and the titles of a history into vectors, for an encoder to read."""

    def forward(self, batch: PreferenceBatch) -> Given:
        """wish_BWD and mask_BW of the preference, taken_BTXD and mask_BTX of the titles.

        Masks are True where there is something to read.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def documents(self) -> dict[str, str]:
        """JSON texts to keep beside the weights."""
        return {}


class WordReader(PreferenceReader):
    """Reads every word, of the preference and of the titles: what a text encoder does.

    Args:
        words: that are known; gives the rows of a text's words, and has a `document()`.
        titles_NX: the words of each item's title.
        limit: most words of a preference.
        width: of a vector.
    """

    titles_NX: Tensor

    def __init__(self, words: Any, titles_NX: IntArray, limit: int, width: int) -> None:
        super().__init__()
        self.known, self.limit = words, limit
        padding = np.full((1, titles_NX.shape[1]), len(words))
        titles_NX = np.concatenate([titles_NX, padding])
        self.register_buffer("titles_NX", torch.from_numpy(titles_NX))
        self.words = nn.Embedding(len(words) + 1, width, padding_idx=len(words))
        self.places = nn.Embedding(max(limit, titles_NX.shape[1]), width)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.words.weight[len(words)].zero_()

    def documents(self) -> dict[str, str]:
        """The words that are known."""
        return {"words": self.known.document()}

    def forward(self, batch: PreferenceBatch) -> Given:
        """As `PreferenceReader` says."""
        rows_BW = torch.from_numpy(self.known.rows(batch.texts, self.limit))
        rows_BW = rows_BW.to(batch.items_BT.device)
        rows_BTX = self.titles_NX[batch.items_BT]
        empty = len(self.known)
        return (
            self.words(rows_BW) + self.places.weight[: rows_BW.shape[1]],
            rows_BW < empty,
            self.words(rows_BTX) + self.places.weight[: rows_BTX.shape[2]],
            rows_BTX < empty,
        )


class VectorReader(PreferenceReader):
    """Reads one frozen vector of the preference and one of each item: little to compute.

    Args:
        encoder: makes the vectors of preferences, in the space of those of items. One that was
            fitted to texts has `arrays()` and a `document()`, which are kept.
        vectors_NE: of the items.
        width: of a vector.
    """

    vectors_NE: Tensor

    def __init__(self, encoder: Any, vectors_NE: FloatArray, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        padding = np.zeros((1, vectors_NE.shape[1]))
        vectors = np.concatenate([vectors_NE, padding]).astype(np.float32)
        self.register_buffer("vectors_NE", torch.from_numpy(vectors))
        self.wish = Linear(vectors.shape[1], width)
        self.item = Linear(vectors.shape[1], width)
        self.is_fitted = hasattr(encoder, "arrays")
        for name, array in encoder.arrays().items() if self.is_fitted else ():
            self.register_buffer(f"encoder_{name}", torch.from_numpy(array))

    def documents(self) -> dict[str, str]:
        """The terms of a fitted encoder."""
        return {"terms": self.encoder.document()} if self.is_fitted else {}

    def forward(self, batch: PreferenceBatch) -> Given:
        """As `PreferenceReader` says, with W = X = 1."""
        device = batch.items_BT.device
        told_B1 = torch.tensor([[bool(text)] for text in batch.texts], device=device)
        wish_BE = torch.from_numpy(self.encoder.encode(list(batch.texts))).float().to(device)
        taken_BTE = self.vectors_NE[batch.items_BT]
        return (
            self.wish(wish_BE)[:, None],
            told_B1.view(-1, 1),
            self.item(taken_BTE)[:, :, None],
            torch.ones_like(batch.items_BT, dtype=torch.bool)[..., None],
        )


class PreferenceTransformer(EncoderDecoder):
    """`EncoderDecoder` whose encoder reads a preference and a history as a reader gives them.

    Args:
        codes_NL: Semantic ID of each item.
        levels: codes in each level.
        length: most items read.
        shape: sizes.
        reader: of texts.
        shared: whether a code means the same on every level.
    """

    def __init__(
        self,
        codes_NL: Tensor,
        levels: Sequence[int],
        length: int,
        shape: Shape,
        reader: PreferenceReader,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__(codes_NL, levels, length, shape, shared=shared)
        self.reader = reader
        self.asked = nn.Parameter(torch.randn(shape.width) * 0.02)  # marks the preference

    def _encode(self, batch: Any) -> tuple[list[KeysValues], Tensor]:
        """What each decoder block will look at, and where it is real: mask_B11S."""
        wish_BWD, wish_BW, taken_BTXD, taken_BTX = self.reader(batch)
        columns_T = torch.arange(batch.items_BT.shape[1], device=batch.items_BT.device)
        real_BT = columns_T < batch.lengths_B[:, None]
        place_BT = item_positions(batch.lengths_B, batch.items_BT.shape[1], self.length - 1)
        taken_BTXD = taken_BTXD + self.positions(place_BT)[:, :, None]
        begin_B1D = self.table.begin().expand(len(wish_BWD), 1, -1)
        x_BSD = torch.cat([begin_B1D, wish_BWD + self.asked, taken_BTXD.flatten(1, 2)], dim=1)
        taken_BTX = taken_BTX & real_BT[..., None]
        begins_B1 = torch.ones_like(wish_BW[:, :1])
        mask_BS = torch.cat([begins_B1, wish_BW, taken_BTX.flatten(1)], dim=1)
        mask_B11S = mask_BS[:, None, None]
        x_BSD = self.dropout(x_BSD)
        for block in self.encoder:
            x_BSD = block(x_BSD, mask=mask_B11S)
        memory_BSD = self.dropout(self.encoder_norm(x_BSD))
        return [block.cross.read(memory_BSD) for block in self.decoder], mask_B11S
