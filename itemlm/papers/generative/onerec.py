"""OneRec: write the user's whole next session, with experts in the decoder.

Deng et al., "OneRec: Unifying Retrieve and Rank with Generative Recommender and Iterative
Preference Alignment", 2025. arXiv:2502.18965

The idea    A session is a list whose items should go together, so the target is the list: one
            decoder writes several Semantic IDs in a row, each in sight of those before. Sparse
            experts in the decoder add capacity without adding as much work.
Departures  The generation part only: no reward model and no preference alignment, for which
            `SessionTransformer.log_probabilities` and `SessionBeam.sessions` are the two ends.
            A session is the next few events, since public data do not tell where sessions end or
            which were good ones. What begins an item is given, not predicted. A term keeps the
            experts in even use; the paper does not describe one.
Measured    docs/papers/onerec.md
Shapes      L codes per item, M items of a session.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.nn.code_transformer import Shape
from itemlm.nn.session_transformer import SessionTransformer
from itemlm.objectives.even_use import even_use
from itemlm.objectives.next_code import next_code
from itemlm.papers.stages import Codes, semantic_ids, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.session_beam import SessionBeam
from itemlm.sample.sessions import Sessions
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.train.run import Run


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of OneRec."""

    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 3  # semantic codes per item; one more keeps items apart
    codes: int = 256  # per level
    session: int = 5  # items written after a history
    length: int = 20  # most recent items read
    width: int = 128  # of every layer
    blocks: int = 2  # transformer blocks, in the encoder and the decoder each
    heads: int = 2  # of attention
    head_width: int = 64  # of a head; heads * head_width need not be width
    inner: int = 256  # width inside the feed-forward layers, and inside each expert
    experts: int = 8  # in each layer of the decoder
    top: int = 2  # experts that each code uses
    evenness: float = 0.01  # weight of the term that keeps experts in even use
    dropout: float = 0.1  # on what every layer adds
    beams: int = 30  # candidates kept at each level of the search
    epochs: int = 30  # at most, and the length of the learning rate's schedule
    patience: int = 10  # validations without a better NDCG@10
    validate_every: int = 2  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 256  # histories
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.05  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "codes", "session", "length", "width", "blocks", "heads", "head_width")
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, "inner", "experts", "top", *counts, "batch_size")
        check_at_least(self, 0, "evenness")
        check_share(self, "dropout")
        check_tokenizer(self.tokenizer)

    @classmethod
    def as_published(cls) -> Config:
        """The paper's codes, experts, history and rate; it needs far more data than is public."""
        return cls(
            tokenizer="balanced_kmeans", codes=8192, experts=24, length=256, learning_rate=2e-4
        )


def fit(dataset: Dataset, config: Config, run: Run) -> SessionBeam:
    """Describe, tokenize, and train on a dataset."""
    # 1. Give every item a Semantic ID.
    tokens = semantic_ids(dataset, config, run)
    # 2. Learn to write the next few items after each history, code by code.
    torch.manual_seed(run.seed)
    model = _model(config, Codes.of(tokens)).to(run.device)
    recommender = _recommender(config, model, Catalog.of(dataset))
    examples = Sessions(
        dataset.sequences,
        padding=len(dataset.items),
        length=config.length,
        session=config.session,
        batch_size=config.batch_size,
        seed=run.seed,
    )
    train(
        run,
        model,
        next_code() + config.evenness * even_use(),
        examples,
        config,
        recommender,
    )
    # 3. Recommend what may begin the next session; `sessions` writes all of it.
    return recommender


def restore(saved: Saved) -> SessionBeam:
    """From saved parts."""
    config = saved.config_of(Config)
    model = _model(config, Codes.saved_in(saved))
    model.load_state_dict(weights_of(saved))
    return _recommender(config, model, saved.catalog)


def _model(config: Config, codes: Codes) -> SessionTransformer:
    shape = Shape.of(config)
    return SessionTransformer(
        codes.codes_NL,
        codes.levels,
        config.length,
        config.session,
        shape,
        experts=config.experts,
        top=config.top,
        shared=codes.shared,
    )


def _recommender(config: Config, model: SessionTransformer, catalog: Catalog) -> SessionBeam:
    codes_NL = model.table.codes_NL[:-1].cpu().numpy()
    return SessionBeam(
        "onerec", model, codes_NL, catalog, config, length=config.length, beams=config.beams
    )
