"""TTDS: items and users get codes from twin token generators that go on learning with the writer.

Yin et al., "Unleash LLMs Potential for Recommendation by Coordinating Twin-Tower Dynamic Semantic
Token Generator", 2024. arXiv:2409.09253

The idea    Semantic IDs made beforehand stay as they were, however bad for the model that writes
            them. Here two quantizers, one of items and one of users, join what texts and behavior
            say, learn together with the transformer that reads and writes their codes, and the
            codes are made anew as they learn.
Departures  No code is published and the losses are not in what we could read, so all but the idea
            is our reading. A small decoder-only transformer instead of a pre-trained language
            model. An autoencoder without noise for the variational one. A user's codes are made
            from what they had taken so far, at every item, so that no target leaks into them and
            new users have codes too. The tuning tasks on high-order patterns are one contrastive
            term: a user's latent must be near that of the item that follows.
Measured    docs/papers/ttds.md
Shapes      B histories, T positions, L codes per item, S = L - 1 semantic levels, X tokens read,
            K continuations, N items, R distinct items of a batch, D width, H latent width, V and E
            widths of text and behavior vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding, normalize

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode.behavior import behavior_vectors
from itemlm.nn.code_transformer import CodeTable, DecoderOnly, Shape
from itemlm.nn.linear import Linear
from itemlm.objectives.next_code import next_code
from itemlm.objectives.objective import Objective
from itemlm.papers.stages import item_vectors, next_items, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.next_items import NextItems, SequenceBatch
from itemlm.tokenize.ties import spread_ties
from itemlm.tokenize.tokens import unique
from itemlm.tokenize.two_views import TEMPERATURE, Quantized, Sizes, TwoViews
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import ConfigError, FloatArray, IntArray, QueryBatch

USERS_PER_CODE = 50  # to start a codebook with


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of TTDS."""

    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    behavior: int = 64  # width of the collaborative vectors
    levels: int = 3  # semantic codes per item and per user; one more keeps items apart
    codes: int = 256  # per level
    hidden: int = 128  # width inside the token generators
    latent: int = 32  # width of codewords
    tower_epochs: int = 10  # of the token generators alone, before there are codes
    refresh_every: int = 2  # epochs between making the codes anew
    refreshes: int = 10  # times; then the codes stay, and the writer settles
    towers: float = 1.0  # weight of reconstruction and quantization beside the next code
    alignment: float = 0.01  # weight of the contrastive terms; more scatters like items
    length: int = 20  # most recent items read
    width: int = 128  # of every layer
    blocks: int = 4  # transformer blocks
    heads: int = 2  # of attention
    head_width: int = 64  # of a head; heads * head_width need not be width
    inner: int = 512  # width inside the feed-forward layers
    dropout: float = 0.2  # on what every layer adds
    beams: int = 30  # candidates kept at each level of the search
    epochs: int = 100  # at most, and the length of the learning rate's schedule
    patience: int = 10  # validations without a better NDCG@10
    validate_every: int = 4  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 128  # windows of histories
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.05  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("behavior", "levels", "codes", "hidden", "latent", "length", "width", "blocks")
        counts = ("heads", "head_width", "inner", "beams", "epochs", "patience", "validate_every")
        more = ("validation_questions", "batch_size", "tower_epochs", "refresh_every")
        check_at_least(self, 1, *sizes, *counts, *more)
        check_at_least(self, 0, "refreshes", "towers", "alignment")
        check_share(self, "dropout")


class LiveTable(CodeTable):
    """Codes whose vectors hold their codewords, so that what the writer learns reaches these."""

    def __init__(self, tower: TwoViews, items: int, width: int) -> None:
        sizes = tower.sizes
        levels = [sizes.codes] * (sizes.levels + 1)
        super().__init__(torch.zeros(items, len(levels), dtype=torch.long), levels, width)
        self.tower = tower
        self.project = Linear(sizes.latent, width)
        nn.init.zeros_(self.project.weight)  # begins as if there were no codewords

    def embed(self, codes: Tensor) -> Tensor:
        """[..., l, D] vectors of codes [..., l] of the first l levels."""
        return self._vectors(codes + self.starts_L[: codes.shape[-1]])

    def embed_level(self, codes: Tensor, level: int) -> Tensor:
        """[..., D] vectors of codes of one level."""
        return self._vectors(codes + self.starts_L[level])

    def _vectors(self, rows: Tensor) -> Tensor:
        words_VD = self.project(torch.cat([*self.tower.codebooks]))
        rest = self.vectors.num_embeddings - len(words_VD)
        return embedding(rows, self.vectors.weight + nn.functional.pad(words_VD, (0, 0, 0, rest)))


class TTDS(DecoderOnly):
    """A decoder-only transformer over live codes of items, which knows the user's codes.

    Args:
        config: sizes.
        text_NV, behavior_NE: the two vectors of each item.
    """

    text_NV: Tensor
    behavior_NE: Tensor
    table: LiveTable

    def __init__(self, config: Config, text_NV: Tensor, behavior_NE: Tensor) -> None:
        levels = [config.codes] * (config.levels + 1)
        nothing_NL = torch.zeros(len(text_NV), len(levels), dtype=torch.long)
        super().__init__(nothing_NL, levels, config.length, Shape.of(config))
        sizes = Sizes(
            text=text_NV.shape[1],
            behavior=behavior_NE.shape[1],
            hidden=config.hidden,
            latent=config.latent,
            levels=config.levels,
            codes=config.codes,
        )
        self.table = LiveTable(TwoViews(sizes), len(text_NV), config.width)
        self.user_tower = TwoViews(sizes)
        self.project_user = Linear(config.latent, config.width)
        nn.init.zeros_(self.project_user.weight)
        for name, vectors in (("text_NV", text_NV), ("behavior_NE", behavior_NE)):
            self.register_buffer(name, nn.functional.pad(vectors, (0, 0, 0, 1)))  # and of no item

    # --- The codes of users -------------------------------------------------------------------

    def tastes(self, items_BT: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T + 1, V and E] a user's two vectors after 0, 1, ... T items: means of these."""
        means = []
        for vectors in (self.text_NV, self.behavior_NE):
            sums = nn.functional.pad(vectors[items_BT].cumsum(1), (0, 0, 1, 0))
            counts = torch.arange(sums.shape[1], device=sums.device).clamp(min=1)
            means.append(sums / counts[:, None])
        return means[0], means[1]

    def user_codes(self, items_BT: Tensor) -> Quantized:
        """The codes of each user after 0, 1, ... T items."""
        with torch.autocast(items_BT.device.type, enabled=False):
            text, behavior = self.user_tower.latents(*self.tastes(items_BT))
            return self.user_tower.quantize((text + behavior) / 2)

    def _tokens(self, items_BT: Tensor, lengths_B: Tensor, newest: int) -> Tensor:
        """Beside each code, the user as of the items that are complete with it."""
        x_BXD = super()._tokens(items_BT, lengths_B, newest)
        complete_X = torch.arange(x_BXD.shape[1], device=x_BXD.device) // self.table.levels
        user_BTD: Tensor = self.project_user(self.user_codes(items_BT).sum_BH)
        return x_BXD + user_BTD[:, complete_X]

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Any]:
        """As `DecoderOnly.read`; the user goes on beside what is written."""
        logits_B1V, written = super().read(batch, beams)
        rows_B = torch.arange(len(batch.items_BT), device=batch.items_BT.device)
        latent_BH = self.user_codes(batch.items_BT).sum_BH[rows_B, batch.lengths_B]
        return logits_B1V, (written, self.project_user(latent_BH)[:, None])

    def write(self, written: Any, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """As `DecoderOnly.write`."""
        inner, user_B1D = written
        x_BKD = self.table.embed_level(codes_BK, inner.level - 1)
        return self._next(inner, parent_BK, x_BKD + self.positions.weight[self.length] + user_B1D)

    # --- The codes of items -------------------------------------------------------------------

    @torch.no_grad()
    def start_codes(self, histories: Iterator[SequenceBatch], seed: int) -> None:
        """Codebooks from k-means on what the towers make of all items, and of enough users."""
        self.table.tower.start_codebooks(self._item_latents(), seed)
        found: list[Tensor] = []
        while sum(map(len, found)) < USERS_PER_CODE * self.user_tower.sizes.codes:
            batch = next(histories, None)
            if batch is None:
                break
            batch = batch.to(self.text_NV.device)
            text, behavior = self.user_tower.latents(*self.tastes(batch.items_BT))
            found.append(((text + behavior) / 2)[:, 1:][batch.targets_BT >= 0])
        self.user_tower.start_codebooks(torch.cat(found), seed)

    @torch.no_grad()
    def refresh(self, seed: int) -> float:
        """Make the codes of all items anew; the share of items whose codes have changed."""
        tower, latent_NH = self.table.tower, self._item_latents()
        codes_NS = tower.quantize(latent_NH).codes_BS.cpu().numpy()
        latents = latent_NH.cpu().numpy()
        books = tower.codebook_arrays()
        codes_NS = spread_ties(codes_NS, lambda rows: latents[rows], books, seed)
        codes_NL = unique(codes_NS, [tower.sizes.codes] * tower.sizes.levels, seed).codes_NL
        new_NL = torch.from_numpy(codes_NL.astype(np.int64)).to(self.table.codes_NL.device)
        moved = (new_NL != self.table.codes_NL[:-1]).any(1).float().mean()
        self.table.codes_NL[:-1] = new_NL
        return float(moved)

    def _item_latents(self) -> Tensor:
        text_NH, behavior_NH = self.table.tower.latents(self.text_NV[:-1], self.behavior_NE[:-1])
        return (text_NH + behavior_NH) / 2

    def tower_terms(self, batch: SequenceBatch, *, quantized: bool) -> dict[str, Tensor]:
        """What both towers learn from a batch: its targets, and each user at some time."""
        with torch.autocast(batch.items_BT.device.type, enabled=False):
            rows_R = torch.unique(batch.targets_BT[batch.targets_BT >= 0])
            items, item_RH = self.table.tower.losses(
                self.text_NV[rows_R], self.behavior_NE[rows_R], quantized=quantized
            )
            rows_B = torch.arange(len(batch.items_BT), device=rows_R.device)
            last_B = (torch.rand(len(rows_B), device=rows_R.device) * batch.lengths_B).long()
            text, behavior = (part[rows_B, last_B + 1] for part in self.tastes(batch.items_BT))
            users, user_BH = self.user_tower.losses(text, behavior, quantized=quantized)
            cosine_BR = normalize(user_BH, dim=1) @ normalize(item_RH, dim=1).T / TEMPERATURE
            next_B = torch.searchsorted(rows_R, batch.targets_BT[rows_B, last_B])
            terms = {name: items[name] + users[name] for name in items}
            terms["alignment"] = terms["alignment"] + cross_entropy(cosine_BR, next_B)
            return terms


class TowerLoss(Objective):
    """The terms of the twin token generators; see `TTDS.tower_terms`."""

    def __init__(self, config: Config, *, quantized: bool) -> None:
        super().__init__()
        self.config, self.quantized = config, quantized

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """Weighted."""
        terms = model.tower_terms(batch, quantized=self.quantized)  # type: ignore[operator]
        weights = {"alignment": self.config.alignment}
        return {name: weights.get(name, self.config.towers) * terms[name] for name in terms}


class Refreshing:
    """An example source that makes the model's codes anew before some epochs."""

    def __init__(self, examples: NextItems, model: TTDS, config: Config, seed: int) -> None:
        self.examples, self.model, self.seed = examples, model, seed
        self.steps, self.every = examples.steps, config.refresh_every
        self.last = config.refresh_every * config.refreshes

    def batches(self, epoch: int, skip: int = 0) -> Iterator[SequenceBatch]:
        """The batches of an epoch, without its first `skip`."""
        if not skip and 0 < epoch <= self.last and epoch % self.every == 0:
            self.model.refresh(self.seed)
        return self.examples.batches(epoch, skip)


class Live:
    """Answers with the model's codes as they are when asked: the trie is rebuilt."""

    def __init__(self, model: TTDS, catalog: Catalog, config: Config) -> None:
        self.model, self.catalog, self.config = model, catalog, config

    def recommender(self) -> CodeBeam:
        """The recommender of this moment."""
        codes_NL = self.model.table.codes_NL[:-1].cpu().numpy()
        length, beams = self.config.length, self.config.beams
        return CodeBeam(
            "ttds", self.model, codes_NL, self.catalog, self.config, length=length, beams=beams
        )

    def topk(self, batch: QueryBatch, k: int) -> tuple[IntArray, FloatArray]:
        """The k best items of each query."""
        return self.recommender().topk(batch, k)


def fit(dataset: Dataset, config: Config, run: Run) -> CodeBeam:
    """Describe, let the token generators learn alone, then everything together."""
    if len(dataset.items) > config.codes**2:
        raise ConfigError(
            f"codes is {config.codes}, but {len(dataset.items):,} items need at least "
            f"{int(np.ceil(len(dataset.items) ** 0.5))}, so that the last level can tell those "
            "apart that share all other codes."
        )
    # 1. Two views of every item: a vector of its text, and one of who took it.
    text_NV = item_vectors(dataset, config.encoder, run)
    behavior_NE = run.keep("behavior", lambda: behavior_vectors(dataset, config.behavior, run.seed))
    torch.manual_seed(run.seed)
    model = TTDS(config, _scaled(text_NV), _scaled(behavior_NE)).to(run.device)
    examples = next_items(dataset, config, run)
    optimizer = AdamW(learning_rate=config.learning_rate, weight_decay=config.weight_decay)
    # 2. The token generators learn alone; then every item and user gets its first codes.
    alone = TowerLoss(config, quantized=False)
    run.train(model, alone, examples, optimizer, config.tower_epochs, name="towers")
    model.start_codes(examples.batches(0), run.seed)
    model.refresh(run.seed)
    # 3. Token generators and writer learn together, and codes follow what has been learned.
    live = Live(model, Catalog.of(dataset), config)
    run.train(
        model,
        next_code() + TowerLoss(config, quantized=True),
        Refreshing(examples, model, config, run.seed),
        optimizer,
        config.epochs,
        validate=live,
        patience=config.patience,
        questions=config.validation_questions,
        validate_every=config.validate_every,
    )
    # 4. Recommend by beam search over the codes of the best epoch.
    return live.recommender()


def restore(saved: Saved) -> CodeBeam:
    """From saved parts."""
    config = saved.config_of(Config)
    state = weights_of(saved)
    model = TTDS(config, state["text_NV"][:-1], state["behavior_NE"][:-1])
    model.load_state_dict(state)
    return Live(model, saved.catalog, config).recommender()


def _scaled(vectors_ND: FloatArray) -> Tensor:
    """Vectors of length 1, made longer so that their values are about 1 in size."""
    scale = float(vectors_ND.shape[1]) ** 0.5
    return torch.from_numpy(np.array(vectors_ND, dtype=np.float32) * np.float32(scale))
