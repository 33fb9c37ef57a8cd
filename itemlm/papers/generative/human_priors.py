"""Human priors: decode the next item through heads for what people know of items and interests.

Zhang et al., "Don't Waste It: Guiding Generative Recommenders with Structured Human Priors via
Multi-head Decoding", 2025. arXiv:2511.10492

The idea    What an expert would call different intents (a category, a passing or a lasting
            interest) gets its own light head on one backbone, trained only on what belongs to it.
            Heads of one prior build on those of another, so that combinations have their own.
Departures  The paper leaves the choice of backbone open; ours is a causal transformer over items
            with full softmax, as in SASRec. How heads are joined is our reading: the right group is
            given in training and predicted by a router, a category's heads choose among its items
            only, and answers are the mixture of all heads and of the backbone's own.
            Priors are the category and the interest: short where the category is that of a recent
            event, long where of an earlier one, new otherwise. No interaction types, since events
            here have one kind.
Measured    docs/papers/human_priors.md
Shapes      B histories, T positions, N items, M positions with a target, P priors, H combinations
            of heads, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.nn.history import HistoryTransformer
from itemlm.nn.prior_heads import PriorHeads
from itemlm.objectives.through_heads import through_heads
from itemlm.papers.stages import next_items, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.mixture import Mixture
from itemlm.sample.next_items import SequenceBatch
from itemlm.text.groups import Groups, groups
from itemlm.train.run import Run
from itemlm.types import IntArray

SHORT, LONG, NEW = range(3)  # interests


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of multi-head decoding with human priors."""

    category: bool = True  # a head for each category
    interest: bool = True  # heads for short, long and new interests, under each category's
    column: str | None = None  # of the catalog; the one that divides it best where None
    groups: int = 8  # categories with a head, that of all others included
    fine_groups: int = 100  # categories by which interests are told
    recent: int = 3  # events that make a short interest
    rank: int = 16  # of what a head adds to the backbone's state
    backbone: float = 0.5  # share of the backbone's own head in the answers
    length: int = 50  # most recent events read
    width: int = 64  # of an item's vector and of every layer
    blocks: int = 2  # transformer blocks
    heads: int = 1  # of attention
    inner: int = 64  # width inside the feed-forward layers
    dropout: float = 0.5  # 0.2 where users have hundreds of events
    epochs: int = 40  # at most, and the length of the learning rate's schedule
    patience: int = 6  # validations without a better NDCG@10
    validate_every: int = 2  # epochs
    validation_questions: int = 4000  # a sample
    batch_size: int = 128  # windows of histories
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.1  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("recent", "rank", "length", "width", "blocks", "heads", "inner", "batch_size")
        counts = ("epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 2, "groups", "fine_groups")
        check_at_least(self, 1, *sizes, *counts)
        check_share(self, "dropout", "backbone")


class PriorGuided(nn.Module):
    """A backbone over items, and heads above it.

    Args:
        config: sizes.
        coarse_N: the category of each item, which has a head.
        fine_N: the category by which interests are told; -1 where it says nothing.
        categories: different ones in `coarse_N`.
    """

    coarse_N: Tensor
    fine_N: Tensor

    def __init__(
        self, config: Config, coarse_N: IntArray, fine_N: IntArray, categories: int
    ) -> None:
        super().__init__()
        items = len(coarse_N)
        self.recent = config.recent
        self.uses = (config.category, config.interest)
        self.share = config.backbone if any(self.uses) else 1.0
        self.items = nn.Embedding(items + 1, config.width, padding_idx=items)
        self.history = HistoryTransformer(
            length=config.length,
            width=config.width,
            blocks=config.blocks,
            heads=config.heads,
            inner=config.inner,
            dropout=config.dropout,
        )
        sizes = [size for size, used in zip((categories, 3), self.uses, strict=True) if used]
        self.heads = PriorHeads(config.width, sizes, config.rank)
        self.register_buffer("coarse_N", torch.from_numpy(np.append(coarse_N, -1)))
        self.register_buffer("fine_N", torch.from_numpy(np.append(fine_N, -1)))
        nn.init.normal_(self.items.weight, std=0.02)
        with torch.no_grad():
            self.items.weight[items].zero_()

    @property
    def items_of_groups(self) -> list[Tensor]:
        """The rows of the items of each category; all of them where categories have no heads."""
        if not self.uses[0]:
            return [torch.arange(len(self.coarse_N) - 1, device=self.coarse_N.device)]
        numbers = range(len(self.heads.priors[0].down))
        return [(self.coarse_N == number).nonzero()[:, 0] for number in numbers]

    @property
    def items_of_heads(self) -> list[Tensor]:
        """The rows of the items that each head chooses from: the backbone's, then combinations."""
        all_N = torch.arange(len(self.coarse_N) - 1, device=self.coarse_N.device)
        if self.share == 1:
            return [all_N]
        repeats = 3 if self.uses[1] else 1
        return [all_N, *(row_X for row_X in self.items_of_groups for _ in range(repeats))]

    def item_vectors(self) -> Tensor:
        """items_ND, without the padding row."""
        return self.items.weight[:-1]

    def forward(self, batch: SequenceBatch) -> Tensor:
        """state_BTD after each position, before any head."""
        state_BTD: Tensor = self.history(self._embedded(batch), batch.lengths_B)
        return state_BTD

    def _embedded(self, batch: SequenceBatch) -> Tensor:
        x_BTD: Tensor = self.items(batch.items_BT) * self.items.embedding_dim**0.5
        return x_BTD

    def groups(self, batch: SequenceBatch) -> Tensor:
        """[M, P] the group of every target in each prior."""
        category_BT = self.coarse_N[batch.targets_BT]
        both = (category_BT, interests(self.fine_N, batch, self.recent))
        used = [batch.at_targets(part) for part, used in zip(both, self.uses, strict=True) if used]
        return torch.stack(used, 1) if used else batch.targets_BT.new_zeros(0, 0)

    def mixture(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """state_BHD of the backbone and every combination of heads, and log_BH of their shares."""
        state_BD = self.history.last(self._embedded(batch), batch.lengths_B)
        own_B1 = state_BD.new_full((len(state_BD), 1), self.share)
        if self.share == 1:
            return state_BD[:, None], own_B1.log()
        state_BHD, log_BH = self.heads.combinations(state_BD)
        log_BH = torch.cat([own_B1.log(), log_BH + (1 - own_B1).log()], dim=1)
        return torch.cat([state_BD[:, None], state_BHD], dim=1), log_BH


def interests(fine_N: Tensor, batch: SequenceBatch, recent: int) -> Tensor:
    """[B, T] SHORT, LONG or NEW: whether an event with the target's category was read, and when."""
    seen_B1T = fine_N[batch.items_BT][:, None]
    wanted_BT1 = fine_N[batch.targets_BT][..., None]
    place_T = torch.arange(batch.items_BT.shape[1], device=fine_N.device)
    age_TT = place_T[:, None] - place_T  # of the event in a column, at the position in a row
    same_BTT = (seen_B1T == wanted_BT1) & (wanted_BT1 >= 0) & (age_TT >= 0)
    is_short_BT = (same_BTT & (age_TT < recent)).any(-1)
    interest_BT = torch.where(same_BTT.any(-1), LONG, NEW)
    return interest_BT.where(~is_short_BT, SHORT)


def fit(dataset: Dataset, config: Config, run: Run) -> Mixture:
    """Train on a dataset; the run's validation questions choose the epoch."""
    # 1. What people know: the category of each item, coarse for heads and fine for interests.
    coarse, fine_N = _priors(dataset, config)
    # 2. Learn backbone and heads together.
    torch.manual_seed(run.seed)
    model = PriorGuided(config, coarse.of_item_N, fine_N, len(coarse)).to(run.device)
    recommender = Mixture("human_priors", model, Catalog.of(dataset), config, config.length)
    examples = next_items(dataset, config, run)
    train(
        run,
        model,
        through_heads(),
        examples,
        config,
        recommender,
    )
    # 3. Recommend by what all heads say together.
    return recommender


def restore(saved: Saved) -> Mixture:
    """From saved parts."""
    config = saved.config_of(Config)
    coarse_N, fine_N = saved.state["coarse_N"][:-1], saved.state["fine_N"][:-1]
    categories = len(saved.state["heads.priors.0.down"]) if config.category else 1
    model = PriorGuided(config, coarse_N, fine_N, categories)
    model.load_state_dict(weights_of(saved))
    return Mixture("human_priors", model, saved.catalog, config, config.length)


def _priors(dataset: Dataset, config: Config) -> tuple[Groups, IntArray]:
    """The coarse groups, and the fine group of each item, -1 where it has none."""
    coarse = groups(dataset.catalog, config.groups, config.column)
    fine = groups(dataset.catalog, config.fine_groups, coarse.column)
    return coarse, np.where(fine.of_item_N < len(fine) - 1, fine.of_item_N, -1)
