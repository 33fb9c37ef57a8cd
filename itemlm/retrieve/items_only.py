"""ItemsOnly: the trie as a logits processor, so that any engine writes items and nothing else.

`CodeBeam` searches by itself. Where another engine generates (transformers' `generate`, or a
server), this holds its next tokens to the catalog: after every prefix, only tokens that lead to an
item that may be recommended; after the last code, only the end token, which costs nothing.

Shapes      B queries, K rows of each (beams or samples), R = B * K rows, T tokens written so far,
            V tokens of the vocabulary, M children of a node at most, N items, L levels; a level has
            C children.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from itemlm.retrieve.branches import (
    Branches,
    allowed_before,
    branches,
    close,
    keep_open,
    used_up,
)
from itemlm.tokenize.trie import Trie
from itemlm.types import ConfigError, DataError, IntArray, QueryBatch

EDGE = 2**32  # parent * EDGE + token is the number of an edge


@dataclass(frozen=True)
class _Level:
    """The edges of a level as tokens.

    Attributes:
        branch: its nodes.
        tokens_C: the token on the edge to each child; the end token where a path has ended.
        all_tokens: [codes] the tokens of the level's codes, among which probabilities are.
        edges_C: numbers of parent and token, ascending.
        child_of_edge_C: the child at the end of each of these.
    """

    branch: Branches
    tokens_C: Tensor
    all_tokens: Tensor
    edges_C: Tensor
    child_of_edge_C: Tensor


class ItemsOnly:
    """A logits processor for transformers that lets a model write items only.

    One object serves any number of calls; `after` says where answers begin and whose they are.

        items_only = ItemsOnly(codes_NL, tokens_by_level, end=tokenizer.eos_token_id)
        model.generate(..., logits_processor=[items_only.after(prompt_length)])

    The logits that it gives are log-probabilities among the codes of a level, so that generation
    ranks items as `CodeBeam` does.

    Args:
        codes_NL: the path of each item, -1 after the end of a shorter one.
        tokens_by_level: for each level, the token of each of its codes.
        end: the token that ends an answer.

    Raises:
        ConfigError: if the levels do not fit.
        DataError: if two items have the same path.
    """

    def __init__(
        self, codes_NL: IntArray, tokens_by_level: Sequence[Tensor | Sequence[int]], *, end: int
    ) -> None:
        if len(tokens_by_level) != codes_NL.shape[1]:
            raise ConfigError(
                f"paths have {codes_NL.shape[1]} levels, but tokens are given for "
                f"{len(tokens_by_level)}."
            )
        self.trie, self.end = Trie.build(codes_NL), int(end)
        self._tokens = [torch.as_tensor(tokens).long().cpu() for tokens in tokens_by_level]
        for level, tokens_C in enumerate(self._tokens):
            needed = int(codes_NL[:, level].max()) + 1
            if len(tokens_C) < needed or len(set(tokens_C.tolist()) - {self.end}) < len(tokens_C):
                raise ConfigError(
                    f"level {level} needs a token of its own for each of its {needed} codes, "
                    f"other than the end token {self.end}; {len(tokens_C)} tokens were given."
                )
        self._start, self._queries = 0, 1
        self._before_FN: IntArray | None = None
        self._used_up: list[IntArray] | None = None
        self._tries: dict[torch.device, list[_Level]] = {}
        self._closed: dict[torch.device, list[_Level]] = {}

    def after(self, length: int, batch: QueryBatch | None = None) -> ItemsOnly:
        """The same for answers to certain prompts.

        Args:
            length: columns of `input_ids` before an answer: those of the padded prompt for a causal
                model, 1 for an encoder-decoder, whose answers begin with its start token.
            batch: the queries, for their filters and seen items; all items are allowed if None.

        Raises:
            DataError: if a query has no item left that may be recommended.
        """
        other = copy(self)
        other._start, other._queries, other._closed = length, 1, {}
        other._before_FN = other._used_up = None
        if batch is not None:
            other._queries, other._before_FN = len(batch), allowed_before(batch, self.trie)
            if batch.exclude_seen:
                other._used_up = used_up(batch, self.trie, other._before_FN)
        other._refuse_empty()
        return other

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """[R, V] log-probabilities of the next token, -inf where it leads to no item.

        Args:
            input_ids: [R, start + T] prompts and what is written; the rows of a query follow each
                other.
            scores: [R, V] logits, or anything that differs from them by a constant per row.
        """
        return self._next(input_ids[:, self._start :], scores)

    def each(self, written: Sequence[Sequence[int]], scores: Tensor) -> Tensor:
        """The same for rows of which each has come as far as it has, as in a server's batch.

        Args:
            written: [R] the tokens that each row has written after its prompt.
            scores: [R, V] logits of the next token.

        Raises:
            ConfigError: if there are several queries; let each have its own `after`.
        """
        if self._queries > 1:
            raise ConfigError(
                "`each` does not know which row is whose; call `after` with one query for each."
            )
        lengths_R = np.array([len(tokens) for tokens in written], dtype=np.int64)
        out_RV = torch.empty_like(scores)
        for length in np.unique(lengths_R).tolist():
            chosen = np.flatnonzero(lengths_R == length).tolist()
            tokens = [list(written[row]) for row in chosen]
            written_XT = torch.tensor(tokens, dtype=torch.long, device=scores.device)
            rows_X = torch.tensor(chosen, device=scores.device)
            out_RV[rows_X] = self._next(written_XT, scores[rows_X])
        return out_RV

    def _next(self, written_RT: Tensor, scores: Tensor) -> Tensor:
        levels = self._levels(scores.device)
        out_RV = torch.full_like(scores, -torch.inf)
        if written_RT.shape[1] >= len(levels):
            out_RV[:, self.end] = 0
            return out_RV
        node_R, lost_R = self._walk(written_RT, levels)
        level = levels[written_RT.shape[1]]
        child_BKM, code_BKM, bar_BKM = level.branch.below(node_R.view(self._queries, -1))
        token_RM = level.tokens_C[child_BKM].flatten(0, 1)
        norm_R1 = scores[:, level.all_tokens].float().logsumexp(1, keepdim=True)
        log_RM = scores.gather(1, token_RM).float() - norm_R1
        log_RM = log_RM.where(code_BKM.flatten(0, 1) >= 0, 0.0) + bar_BKM.flatten(0, 1)
        log_RM.masked_fill_(lost_R[:, None], -torch.inf)
        out_RV.scatter_reduce_(1, token_RM, log_RM.to(out_RV.dtype), "amax")
        out_RV[:, self.end] = out_RV[:, self.end].where(~lost_R, 0.0)  # nothing else to say
        return out_RV

    def rows(self, sequences: Tensor) -> IntArray:
        """[R] the item that each generated sequence is, -1 where it is none.

        Args:
            sequences: [R, start + T] as `generate` returns them, with or without end tokens.
        """
        levels = self._levels(sequences.device)
        written_RT = sequences[:, self._start :]
        short = len(levels) - written_RT.shape[1]
        if short > 0:
            written_RT = torch.nn.functional.pad(written_RT, (0, short), value=self.end)
        leaf_R, lost_R = self._walk(written_RT, levels)
        rows_R: IntArray = self.trie.row_of_leaf[leaf_R.cpu().numpy()]
        return np.where(lost_R.cpu().numpy(), -1, rows_R)

    # --- The trie -------------------------------------------------------------------------------

    def _walk(self, written_RT: Tensor, levels: Sequence[_Level]) -> tuple[Tensor, Tensor]:
        """[R] the node that each row has come to, and whether it has left the trie."""
        node_R = torch.zeros(len(written_RT), dtype=torch.long, device=written_RT.device)
        lost_R = torch.zeros_like(node_R, dtype=torch.bool)
        for level, token_R in zip(levels, written_RT.unbind(1), strict=False):
            edge_R = node_R * EDGE + token_R
            place_R = torch.searchsorted(level.edges_C, edge_R).clamp_(max=len(level.edges_C) - 1)
            first_R = level.branch.first_child[node_R]
            # What follows an ended path (the end token, then padding) changes nothing.
            ended_R = level.branch.codes[first_R] < 0
            lost_R |= (level.edges_C[place_R] != edge_R) & ~ended_R
            node_R = first_R.where(ended_R, level.child_of_edge_C[place_R])
        return node_R, lost_R

    def _levels(self, device: torch.device) -> list[_Level]:
        """The trie on a device, closed for the queries; each is made once."""
        if device not in self._closed:
            if device not in self._tries:
                self._tries[device] = self._open_levels(device)
            levels = self._tries[device]
            nodes = [level.branch for level in levels]
            if self._before_FN is not None:
                nodes = keep_open(nodes, self.trie, self._before_FN)
            if self._used_up is not None:
                nodes = close(nodes, self._used_up)
            self._closed[device] = [
                replace(level, branch=branch) for level, branch in zip(levels, nodes, strict=True)
            ]
        return self._closed[device]

    def _open_levels(self, device: torch.device) -> list[_Level]:
        levels = []
        parts = zip(branches(self.trie, device), self.trie.levels, self._tokens, strict=True)
        for branch, level, tokens in parts:
            codes_C = torch.from_numpy(level.codes)
            tokens_C = tokens[codes_C.clamp(min=0)].where(codes_C >= 0, self.end)
            parent_C = torch.from_numpy(
                np.repeat(np.arange(len(level.first_child) - 1), np.diff(level.first_child))
            )
            edges_C, child_of_edge_C = (parent_C * EDGE + tokens_C).sort()
            tensors = (tokens_C, tokens, edges_C, child_of_edge_C)
            levels.append(_Level(branch, *(part.to(device) for part in tensors)))
        return levels

    def _refuse_empty(self) -> None:
        first = self._levels(torch.device("cpu"))[0].branch
        _, _, bar_B1M = first.below(torch.zeros(self._queries, 1, dtype=torch.long))
        empty_B = torch.isneginf(bar_B1M).all(2)[:, 0]
        if empty_B.any():
            raise DataError(
                f"query {int(empty_B.nonzero()[0])} (counted from 0) has no item left: its filters "
                "and history exclude the whole catalog. Leave it out or loosen its filters."
            )
