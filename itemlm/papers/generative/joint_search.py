"""Joint search: one model that recommends and searches, over item codes made for both.

Penha et al., "Semantic IDs for Joint Generative Search and Recommendation", RecSys 2025.
arXiv:2508.10478

The idea    Semantic IDs from vectors tuned for search serve recommendation badly, and the other way
            round. Tune one text encoder on both: a search lies close to the item that was meant, an
            item close to what the same people take. Codes of its vectors are a compromise that
            loses little on either side. One generator reads a history or a search and writes codes.
Departures  A small transformer that learns its words from searches, instead of Flan-T5. Searches
            are made from the catalog; the paper's were written by a language model. A residual
            perceptron on frozen vectors is tuned, not a whole sentence encoder. Behavior vectors (a
            singular value decomposition) stand for recommendation-tuned ones, instead of ENMF. The
            model also learns searches at the end of a history, so that both can be given; the paper
            has one or the other.
Measured    docs/papers/joint_search.md
Shapes      N items, L codes per item, Q searches, E width of item vectors, B queries, K places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from itemlm.config import check_at_least, check_positive, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode.behavior import behavior_vectors
from itemlm.encode.by_name import encoder_named
from itemlm.encode.fused import added, concatenated
from itemlm.encode.lsa import LSA
from itemlm.nn.bi_encoder import BiEncoder
from itemlm.nn.code_transformer import Shape
from itemlm.nn.search_transformer import SearchTransformer
from itemlm.objectives.contrastive import BothTasks
from itemlm.objectives.next_code import next_code
from itemlm.papers.stages import Codes, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.search_beam import SearchBeam
from itemlm.sample.pairs import Pairs
from itemlm.sample.searches import SearchesAndHistories
from itemlm.text.describe import describe
from itemlm.text.search_queries import Searches, searches_of
from itemlm.text.word_rows import WordRows
from itemlm.tokenize.by_name import Material, check_tokenizer, item_tokens
from itemlm.tokenize.tokens import ItemTokens
from itemlm.train.optimizer import AdamW
from itemlm.train.run import Run
from itemlm.types import FloatArray

Vectors = Literal[
    "content", "search", "recommendation", "concatenated", "added", "both_tasks", "separate"
]

BEHAVIOR_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of joint search."""

    vectors: Vectors = "both_tasks"  # that codes are made of; separate gives each task its own
    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit` that takes vectors
    levels: int = 3  # semantic codes per item; one more keeps items apart
    codes: int = 256  # per level
    queries: int = 8  # searches made of each item
    words: int = 20_000  # most words that the generator knows
    words_read: int = 16  # of a search
    personal: float = 0.25  # share of histories read once more, as ending in a search
    reach: int = 2  # events between two items that the bi-encoder learns as a pair, at most
    tune_epochs: int = 5  # of the bi-encoder
    tune_batch: int = 512  # pairs of each task
    tune_rate: float = 1e-3  # the bi-encoder's highest learning rate
    tune_inner: int = 1024  # width inside the bi-encoder
    temperature: float = 0.05  # of its losses
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
    batch_size: int = 128  # windows of histories, or searches
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.05  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "codes", "length", "width", "blocks", "heads", "head_width", "inner")
        tuning = ("queries", "words", "words_read", "reach", "tune_epochs", "tune_batch")
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, *tuning, *counts, "tune_inner", "batch_size")
        check_positive(self, "tune_rate", "temperature")
        check_share(self, "dropout")
        check_share(self, "personal")
        check_tokenizer(self.tokenizer)


def fit(dataset: Dataset, config: Config, run: Run) -> SearchBeam:
    """Make searches, tune vectors, make codes, and train one generator."""
    # 1. Searches, item vectors that serve one task, the other or both, and codes of these.
    searches = searches_of(dataset, config.queries, run.seed)
    codes = item_codes(dataset, searches, config, run)
    # 2. One generator for both: it reads a history, a search, or a history that ends in a search.
    words = WordRows.learned(searches.texts, config.words)
    torch.manual_seed(run.seed)
    model = _model(config, codes, words).to(run.device)
    recommender = _recommender(config, model, words, Catalog.of(dataset))
    items = len(dataset.items)
    has_own_answers = len(codes.codes_NL) > items
    train(
        run,
        model,
        next_code(),
        SearchesAndHistories(
            dataset.sequences,
            words.rows(searches.texts, config.words_read),
            searches.meant_Q,
            searches.meant_Q + items * has_own_answers,
            no_word=len(words),
            personal=config.personal,
            padding=items,
            length=config.length,
            batch_size=config.batch_size,
            seed=run.seed,
        ),
        config,
        recommender,
    )
    # 3. Answer either kind of question by beam search over the codes of items that exist.
    return recommender


def restore(saved: Saved) -> SearchBeam:
    """From saved parts."""
    config = saved.config_of(Config)
    words = WordRows.restored(saved.documents["words"])
    model = _model(config, Codes.saved_in(saved), words)
    model.load_state_dict(weights_of(saved))
    return _recommender(config, model, words, saved.catalog)


def item_codes(dataset: Dataset, searches: Searches, config: Config, run: Run) -> Codes:
    """Codes of all items; where separate, those to recommend by, then those to be found by."""
    if config.vectors != "separate":
        return Codes.of(_tokens(dataset, searches, config.vectors, config, run))
    own, found = (
        Codes.of(_tokens(dataset, searches, vectors, config, run))
        for vectors in ("recommendation", "search")
    )
    # Codes to be found by come after the others of their level; an end stays an end.
    apart_NL = found.codes_NL + torch.tensor(own.levels) * (found.codes_NL >= 0)
    return Codes(
        codes_NL=torch.cat([own.codes_NL, apart_NL]),
        levels=tuple(one + other for one, other in zip(own.levels, found.levels, strict=True)),
    )


def _tokens(
    dataset: Dataset, searches: Searches, vectors: str, config: Config, run: Run
) -> ItemTokens:
    material = Material(
        dataset=dataset,
        vectors=lambda: tuned_vectors(dataset, searches, vectors, config, run),
        levels=config.levels,
        codes=config.codes,
        seed=run.seed,
    )
    return run.keep(
        f"{vectors}-tokens", lambda: item_tokens(config.tokenizer, material), ItemTokens
    )


def tuned_vectors(
    dataset: Dataset, searches: Searches, vectors: str, config: Config, run: Run
) -> FloatArray:
    """vectors_NE of the items, of a kind that `Config.vectors` names."""
    items = len(dataset.items)
    behavior_NE = behavior_vectors(dataset, BEHAVIOR_WIDTH, run.seed)
    if vectors == "recommendation":
        return behavior_NE
    # 1. What the texts say: items first, then searches, in one space.
    given = run.keep("given", lambda: _encoded(config.encoder, describe(dataset), searches.texts))
    if vectors == "content":
        return given[:items]
    # 2. What lies close: searches and what was meant, and, for both tasks, items taken together.
    torch.manual_seed(run.seed)
    encoder = BiEncoder(given.shape[1], config.tune_inner, config.dropout).to(run.device)
    given_NE, given_QE = (torch.from_numpy(part) for part in (given[:items], given[items:]))
    run.train(
        encoder,
        BothTasks(given_NE, given_QE, config.temperature),
        Pairs(
            searches.meant_Q,
            dataset.sequences if vectors == "both_tasks" else None,
            reach=config.reach,
            batch_size=config.tune_batch,
            seed=run.seed,
        ),
        AdamW(learning_rate=config.tune_rate, weight_decay=config.weight_decay),
        config.tune_epochs,
        name="bi-encoder",
    )
    tuned_NE = _passed(encoder, given_NE.to(run.device))
    # 3. Or put those of both tasks together afterwards.
    if vectors == "concatenated":
        return concatenated([tuned_NE, behavior_NE])
    return added([tuned_NE, behavior_NE]) if vectors == "added" else tuned_NE


def _encoded(name: str, descriptions: list[str], searches: list[str]) -> FloatArray:
    """Vectors of items and searches, one after the other, in one space."""
    if name == "lsa":  # whose directions come from the texts that it is given
        encoder = LSA().fitted(descriptions)
        return np.concatenate([encoder.encode(descriptions), encoder.encode(searches)])
    return encoder_named(name).encode([*descriptions, *searches])


@torch.inference_mode()
def _passed(encoder: BiEncoder, given_NE: Tensor) -> FloatArray:
    vectors_NE: FloatArray = encoder(given_NE).float().cpu().numpy()
    return vectors_NE


def _model(config: Config, codes: Codes, words: WordRows) -> SearchTransformer:
    shape = Shape.of(config)
    return SearchTransformer(codes.codes_NL, codes.levels, config.length, shape, words=len(words))


def _recommender(
    config: Config, model: SearchTransformer, words: WordRows, catalog: Catalog
) -> SearchBeam:
    return SearchBeam(
        "joint_search",
        model,
        words,
        catalog,
        config,
        length=config.length,
        beams=config.beams,
        words_read=config.words_read,
    )
