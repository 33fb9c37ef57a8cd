"""A transformer over histories in which an item is a set of tokens, asked for by queries.

A token is a vector. One is made from a collaborative vector, the others from the item's text by an
autoencoder. The tokens of an item have one place and do not look at each other, and neither do the
queries, one for each token of the next item.

Shapes      B histories, T items, Q tokens of an item, S = T * Q tokens, R queries, N items, W items
            with events, M items to restore, D width, C width of a collaborative vector, E of a
            text's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from itemlm.nn.attention import Block, KeysValues, stack
from itemlm.nn.code_transformer import Shape, item_positions
from itemlm.nn.computed_items import ComputedItems
from itemlm.nn.dropout import Dropout
from itemlm.nn.item_masks import blockwise_causal, blockwise_causal_alone
from itemlm.nn.norm import RMSNorm
from itemlm.nn.perceptron import perceptron
from itemlm.sample.next_items import SequenceBatch


class ItemSets(ComputedItems):
    """Items as sets of tokens, and a transformer that reads and asks for such sets.

    Args:
        collaborative_NC: frozen vectors; the same for all items without events.
        texts_NE: text vectors, standardized.
        warm_W: rows of the items that have events.
        semantic: tokens made from a text vector.
        hidden: widths inside the autoencoder that makes them.
        length: most items read.
        shape: sizes of the transformer.
        beta: share of the semantic scores.
    """

    collaborative_NC: Tensor
    texts_NE: Tensor
    warm_W: Tensor
    beta: Tensor

    def __init__(
        self,
        collaborative_NC: Tensor,
        texts_NE: Tensor,
        warm_W: Tensor,
        *,
        semantic: int,
        hidden: Sequence[int],
        length: int,
        shape: Shape,
        beta: float,
    ) -> None:
        super().__init__()
        width, self.queries_per_item, self.length = shape.width, semantic + 1, length
        for name, values in {
            "collaborative_NC": collaborative_NC,
            "texts_NE": texts_NE,
            "warm_W": warm_W,
            "beta": torch.tensor(beta),
        }.items():
            self.register_buffer(name, values)
        latent = semantic * width
        self.project = nn.Linear(collaborative_NC.shape[1], width)
        self.encoder = perceptron((texts_NE.shape[1], *hidden, latent))
        self.decoder = perceptron((latent, *hidden[::-1], texts_NE.shape[1]))
        self.queries = nn.Embedding(self.queries_per_item, width)
        self.positions = nn.Embedding(length, width)
        self.blocks = stack(
            Block(
                width,
                heads=shape.heads,
                head_width=shape.head_width,
                inner=shape.inner,
                dropout=shape.dropout,
            )
            for _ in range(shape.blocks)
        )
        self.norm = RMSNorm(width)
        self.dropout = Dropout(shape.dropout)
        for table in (self.queries, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    def compute_items(self) -> Tensor:
        """tokens_NQD: the set of every item, its collaborative token first.

        As vectors they stand side by side, since scores of tokens add up.
        """
        semantic_NQD = self.encoder(self.texts_NE).unflatten(1, (self.queries_per_item - 1, -1))
        collaborative_N1D = self.project(self.collaborative_NC)[:, None]
        return torch.cat([collaborative_N1D, semantic_NQD], dim=1).float()

    def lost(self, tokens_NQD: Tensor, rows_M: Tensor) -> Tensor:
        """The mean squared error of texts restored from the semantic tokens of items."""
        restored_ME = self.decoder(tokens_NQD[rows_M, 1:].flatten(1))
        return mse_loss(restored_ME.float(), self.texts_NE[rows_M])

    def states(self, batch: SequenceBatch, tokens_NQD: Tensor) -> Tensor:
        """state_BTQD of the queries after each item."""
        x_BTQD, query_BTQD = self._placed(batch, tokens_NQD)
        items, queries = x_BTQD.shape[1:3]
        sees_SS = blockwise_causal(items, queries, x_BTQD.device)
        state_BSD = self._asked(x_BTQD, query_BTQD.flatten(1, 2), sees_SS)
        return state_BSD.view(x_BTQD.shape)

    def last_states(self, batch: SequenceBatch) -> Tensor:
        """[B, Q * D] the answers to the queries after each history, weighted by their share."""
        x_BTQD, query_BTQD = self._placed(batch, self.items_now())
        items, queries = x_BTQD.shape[1:3]
        rows_B = torch.arange(len(x_BTQD), device=x_BTQD.device)
        is_real_BS = torch.arange(items * queries, device=x_BTQD.device) < (
            batch.lengths_B[:, None] * queries
        )
        sees_B1QS = is_real_BS[:, None, None].expand(-1, -1, queries, -1)
        state_BQD = self._asked(x_BTQD, query_BTQD[rows_B, batch.lengths_B - 1], sees_B1QS)
        share_Q1 = torch.cat([1 - self.beta[None], self.beta.expand(queries - 1)])[:, None]
        return (state_BQD * share_Q1).flatten(1)

    def _placed(self, batch: SequenceBatch, tokens_NQD: Tensor) -> tuple[Tensor, Tensor]:
        """x_BTQD, the tokens of the items read, and query_BTQD, the queries after each.

        The tokens of an item and the queries after it have one place, counted from the newest item.
        """
        place_BT = item_positions(batch.lengths_B, batch.items_BT.shape[1], self.length - 1)
        place_BT1D = self.positions(place_BT)[:, :, None]
        is_item_BT = batch.items_BT < len(tokens_NQD)
        x_BTQD = tokens_NQD[batch.items_BT.where(is_item_BT, 0)] * is_item_BT[..., None, None]
        return self.dropout(x_BTQD + place_BT1D), self.dropout(self.queries.weight + place_BT1D)

    def _asked(self, x_BTQD: Tensor, query_BRD: Tensor, sees: Tensor) -> Tensor:
        """state_BRD of R queries that see some tokens of the history, and none another.

        Args:
            x_BTQD: the history.
            query_BRD: the queries.
            sees: [..., R, S] which tokens each of them sees.
        """
        items, tokens = x_BTQD.shape[1:3]
        alone_SS = blockwise_causal_alone(items, tokens, x_BTQD.device)
        own_RR = torch.eye(query_BRD.shape[1], dtype=torch.bool, device=x_BTQD.device)
        sees_too = torch.cat([sees, own_RR.expand(*sees.shape[:-1], -1)], dim=-1)
        x_BSD = x_BTQD.flatten(1, 2)
        for place, block in enumerate(self.blocks):
            normed_BSD, normed_BRD = block.attention_norm(x_BSD), block.attention_norm(query_BRD)
            seen, own = block.attention.read(normed_BSD), block.attention.read(normed_BRD)
            both = KeysValues(
                torch.cat([seen.keys, own.keys], 2), torch.cat([seen.values, own.values], 2)
            )
            mixed_BRD = block.attention.attend(normed_BRD, both, mask=sees_too)
            query_BRD = block.feed_forward(query_BRD + block.dropout(mixed_BRD))
            if place + 1 < len(self.blocks):  # after that, nobody looks at the history
                mixed_BSD = block.attention.attend(normed_BSD, seen, mask=alone_SS)
                x_BSD = block.feed_forward(x_BSD + block.dropout(mixed_BSD))
        out: Tensor = self.norm(query_BRD)
        return out
