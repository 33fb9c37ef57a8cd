"""Duet: one reader of histories, and two voices that answer: a vector and a Semantic ID.

Ours. After LIGER (Yang et al. 2024, arXiv:2411.18814), which adds a dense head to TIGER, and MARIUS
(arXiv:2508.14910), which reads item by item and writes codes in a small decoder.

The idea    Dense and generative retrieval err in different places, and share all that reading a
            history takes. So one causal transformer reads items seen in three views (a vector of
            the item's own, its text, its attributes); one head compares its state with every item,
            the other writes a Semantic ID; candidates of both are ranked by the sum of both scores.
            In training an item's own vector is sometimes hidden. So its text and attributes learn
            to stand alone, as they must for items that nobody has taken yet. These score lower,
            since less is known of them, and their codes were never written. What all of them get on
            top is measured on known items that are treated as new, such that they get the places
            that their number asks for.
Departures  From LIGER: items are ranked by both scores, not the dense one alone; any item can be a
            candidate, not only beams and cold ones; full softmax instead of a cosine loss; items
            without events are left out of the softmax, so that they are not taught to be wrong.
Measured    docs/papers/duet.md
Shapes      B histories, T positions, M positions with a target, N items, W items with events,
            C candidates, L codes per item, D width, X width of text vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode.attributes import Attributes
from itemlm.nn.code_transformer import CodeTable, LevelLogits
from itemlm.nn.computed_items import ComputedItems
from itemlm.nn.depth import DepthDecoder
from itemlm.nn.history import HistoryTransformer
from itemlm.nn.linear import Linear
from itemlm.nn.written import Written
from itemlm.objectives.next_code import code_cross_entropy
from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import chunked_softmax
from itemlm.papers.stages import Codes, item_vectors, next_items, semantic_ids, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.two_heads import TwoHeads, fair_lift
from itemlm.sample.moments import histories_before
from itemlm.sample.next_items import SequenceBatch
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.tokenize.quantizer import directions
from itemlm.train.run import Run

TREATED_AS_NEW = 0.05  # share of the known items on which the lift of new ones is measured
ASKED = 2000  # histories on which it is
PLACES = 10  # of a list on which it is


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of Duet."""

    encoder: str = "lsa"  # of texts; or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 3  # semantic codes per item; one more keeps items apart
    codes: int = 256  # per level
    length: int = 50  # most recent events read
    width: int = 64  # of an item's vector and of every layer
    blocks: int = 2  # transformer blocks that read
    depth: int = 1  # transformer blocks that write codes
    heads: int = 1  # of attention
    inner: int = 64  # width inside the feed-forward layers
    dropout: float = 0.5  # in the reader; 0.2 where users have hundreds of events
    code_dropout: float = 0.2  # in what writes codes
    hidden: float = 0.1  # share of items whose own vector is hidden in a training step
    code_loss: float = 1.0  # weight of the codes in training; that of the vectors is 1
    code_score: float = 0.1  # weight of the codes in the ranking; that of the vectors is 1
    candidates: int = 30  # of each head
    new_items: float = 1.0  # places for items without events, in relation to their number; 0: none
    epochs: int = 40  # at most, and the length of the learning rate's schedule
    patience: int = 4  # validations without a better NDCG@10
    validate_every: int = 2  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 128  # windows of histories
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 0.1  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "codes", "length", "width", "blocks", "depth", "heads", "inner")
        counts = ("candidates", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, *counts, "batch_size")
        check_share(self, "dropout", "code_dropout", "hidden")
        check_at_least(self, 0, "code_loss", "code_score", "new_items")
        check_tokenizer(self.tokenizer)


class Duet(ComputedItems):
    """The model: views of items, a reader, and two heads.

    Args:
        config: sizes.
        codes: the Semantic IDs.
        texts_NX: vectors of the items' texts.
        attributes: what the catalog says of the items.
        has_events_N: whether an item occurs in training.
    """

    texts_NX: Tensor
    has_events_N: Tensor
    lift: Tensor
    typical: Tensor

    def __init__(
        self,
        config: Config,
        codes: Codes,
        texts_NX: Tensor,
        attributes: Attributes,
        has_events_N: Tensor,
    ) -> None:
        super().__init__()
        items, width = len(texts_NX), config.width
        self.hidden, self.code_score = config.hidden, config.code_score
        self.register_buffer("texts_NX", texts_NX)
        self.register_buffer("has_events_N", has_events_N)
        self.register_buffer("lift", torch.zeros(()))  # of scores of items without events
        self.register_buffer("typical", torch.zeros(()))  # log-probability of codes, for these
        self.register_buffer("values_V", torch.from_numpy(attributes.values))
        self.register_buffer("offsets_N", torch.from_numpy(attributes.offsets[:-1]))
        self.own = nn.Embedding(items, width)
        self.from_text = Linear(texts_NX.shape[1], width)
        self.from_attributes = nn.EmbeddingBag(attributes.count, width, mode="mean")
        self.history = HistoryTransformer(
            length=config.length,
            width=width,
            blocks=config.blocks,
            heads=config.heads,
            inner=config.inner,
            dropout=config.dropout,
        )
        table = CodeTable(codes.codes_NL, codes.levels, width, shared=codes.shared)
        self.decoder = DepthDecoder(
            table,
            width=width,
            blocks=config.depth,
            heads=config.heads,
            inner=config.inner,
            dropout=config.code_dropout,
        )
        for part in (self.own, self.from_text, self.from_attributes):
            nn.init.normal_(part.weight, std=0.02)

    def compute_items(self) -> Tensor:
        """[N, D + 1] the sum of an item's views; its own only where it has events.

        Last comes what lifts its score: a state ends in a 1, so that a dot product adds it.
        """
        shown_N = self.has_events_N
        if self.training:
            shown_N = shown_N & (torch.rand(len(shown_N), device=shown_N.device) >= self.hidden)
        attributes_ND = self.from_attributes(self.values_V, self.offsets_N)
        views_ND: Tensor = self.from_text(self.texts_NX) + attributes_ND
        lift_N1 = (self.lift * ~self.has_events_N)[:, None]
        return torch.cat([views_ND + self.own.weight * shown_N[:, None], lift_N1], dim=1)

    def forward(self, batch: SequenceBatch, items_NX: Tensor) -> Tensor:
        """state_BTD after each position, given `item_vectors`."""
        state_BTD: Tensor = self.history(self._embedded(batch, items_NX), batch.lengths_B)
        return state_BTD

    def last_states(self, batch: SequenceBatch) -> Tensor:
        """[B, D + 1] after each history: its state, and a 1."""
        state_BD = self._last(batch)
        return torch.cat([state_BD, state_BD.new_ones(len(state_BD), 1)], dim=1)

    def _last(self, batch: SequenceBatch) -> Tensor:
        x_BTD = self._embedded(batch, self.item_vectors())
        return self.history.last(x_BTD, batch.lengths_B.clamp(min=1))

    def _embedded(self, batch: SequenceBatch, items_NX: Tensor) -> Tensor:
        padded_ND = nn.functional.pad(items_NX[:, :-1], (0, 0, 0, 1))
        x_BTD: Tensor = padded_ND[batch.items_BT] * padded_ND.shape[1] ** 0.5
        return x_BTD

    def read(self, batch: SequenceBatch, beams: int) -> tuple[Tensor, Written]:
        """logits_B1V of the first code, and what `write` continues in up to so many beams."""
        return self.decoder.read(self._last(batch), beams)

    def write(self, written: Written, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call."""
        return self.decoder.write(written, parent_BK, codes_BK)

    def score(self, batch: SequenceBatch, rows_BC: Tensor) -> Tensor:
        """scores_BC of items: by their vectors, and by the log-probability of their codes."""
        state_BX, items_NX = self.last_states(batch), self.item_vectors()
        vector_BC = (items_NX[rows_BC] @ state_BX[..., None])[..., 0]
        code_BC = self.code_scores(state_BX[:, :-1], rows_BC)
        code_BC = code_BC.where(self.has_events_N[rows_BC], self.typical.to(code_BC))
        return vector_BC + self.code_score * code_BC

    def code_scores(self, state_BD: Tensor, rows_BC: Tensor) -> Tensor:
        """[B, C] the log-probability of the codes of items."""
        state_XD = state_BD.repeat_interleave(rows_BC.shape[1], dim=0)
        codes_XL = self.decoder.table.codes_NL[rows_BC.flatten()]
        return self.decoder.log_probability(state_XD, codes_XL).view(rows_BC.shape)


class BothHeads(Objective):
    """Cross-entropy of the next item over all items with events, and of its codes.

    Args:
        code_loss: weight of the codes.
        has_events_N: whether an item occurs in training.
    """

    def __init__(self, code_loss: float, has_events_N: Tensor) -> None:
        super().__init__()
        self.code_loss = code_loss
        self.rows_W = has_events_N.nonzero()[:, 0]
        self.place_N = has_events_N.cumsum(0) - 1

    def forward(self, model: nn.Module, batch: SequenceBatch) -> dict[str, Tensor]:
        """The means over the targets of the batch."""
        items_NX = model.item_vectors()  # type: ignore[operator]
        state_MD = batch.at_targets(model(batch, items_NX))
        rows_M = batch.at_targets(batch.targets_BT)
        items_WD = items_NX[self.rows_W, :-1]
        terms = {"softmax": chunked_softmax(state_MD, items_WD, self.place_N[rows_M])}
        if self.code_loss:
            decoder: DepthDecoder = model.decoder  # type: ignore[assignment]
            levels: LevelLogits = decoder(state_MD, decoder.table.codes_NL[rows_M])
            terms["next_code"] = self.code_loss * code_cross_entropy(levels)
        return terms


def fit(dataset: Dataset, config: Config, run: Run) -> TwoHeads:
    """Describe and tokenize the items, and train both heads together."""
    # 1. What is known of every item: its text as a vector and as codes, and its attributes.
    texts_NX = directions(item_vectors(dataset, config.encoder, run))
    tokens = semantic_ids(dataset, config, run)
    # 2. Learn to point at the next item and to write its codes, from the same state.
    torch.manual_seed(run.seed)
    has_events_N = np.bincount(dataset.sequences.item_rows, minlength=len(dataset.items)) > 0
    model = Duet(
        config,
        Codes.of(tokens),
        torch.from_numpy(texts_NX - texts_NX.mean(axis=0)),
        Attributes.of(dataset.catalog),
        torch.from_numpy(has_events_N),
    ).to(run.device)
    recommender = _recommender(config, model, Catalog.of(dataset))
    examples = next_items(dataset, config, run)
    train(
        run,
        model,
        BothHeads(config.code_loss, model.has_events_N),
        examples,
        config,
        recommender,
    )
    # 3. Find out what new items need to get their places, on known ones that are treated as new.
    _prepare_for_new_items(recommender, model, dataset, run.seed)
    return recommender


@torch.inference_mode()
def _prepare_for_new_items(recommender: TwoHeads, model: Duet, dataset: Dataset, seed: int) -> None:
    """Set `model.lift` and `model.typical`."""
    rng, known_N = np.random.default_rng(seed), dataset.item_counts > 0
    count = max(1, round(TREATED_AS_NEW * int(known_N.sum())))
    treated_N = np.zeros(len(known_N), dtype=bool)
    treated_N[rng.choice(np.flatnonzero(known_N), count, replace=False)] = True
    users_U = np.flatnonzero(dataset.sequences.lengths)
    asked_Q = rng.choice(users_U, min(ASKED, len(users_U)), replace=False)
    batch = histories_before(dataset.sequences, asked_Q, dataset.sequences.offsets[asked_Q + 1])

    has_events_N = model.has_events_N.clone()
    model.lift.zero_()
    model.has_events_N &= torch.from_numpy(~treated_N).to(has_events_N.device)
    model.eval()  # items are computed anew
    rows_QK, known_QK = recommender.dense.topk(
        replace(batch, allowed_N=known_N & ~treated_N), PLACES
    )
    _, new_QK = recommender.dense.topk(replace(batch, allowed_N=treated_N), PLACES)
    model.has_events_N.copy_(has_events_N)
    model.eval()

    share = recommender.config.new_items * count / int(known_N.sum())
    histories = recommender.beam.prompts(batch, has_events_N.device)
    rows = torch.from_numpy(rows_QK.clip(min=0)).to(has_events_N.device)
    codes_QK = model.code_scores(model.last_states(histories)[:, :-1], rows)
    model.lift.fill_(fair_lift(known_QK, new_QK, share))
    listed_QK = torch.from_numpy(rows_QK >= 0).to(rows.device)
    if listed_QK.any():
        model.typical.copy_(codes_QK[listed_QK].float().mean())
    model.eval()


def restore(saved: Saved) -> TwoHeads:
    """From saved parts."""
    state = weights_of(saved)
    config = saved.config_of(Config)
    attributes = Attributes(
        values=saved.state["values_V"],
        offsets=np.append(saved.state["offsets_N"], len(saved.state["values_V"])),
        count=len(state["from_attributes.weight"]),
    )
    codes = Codes.saved_in(saved, "decoder.table")
    model = Duet(config, codes, state["texts_NX"], attributes, state["has_events_N"])
    model.load_state_dict(state)
    return _recommender(config, model, saved.catalog)


def _recommender(config: Config, model: Duet, catalog: Catalog) -> TwoHeads:
    codes_NL = model.decoder.table.codes_NL[:-1].cpu().numpy()
    return TwoHeads(
        "duet",
        model,
        codes_NL,
        catalog,
        config,
        length=config.length,
        candidates=config.candidates,
    )
