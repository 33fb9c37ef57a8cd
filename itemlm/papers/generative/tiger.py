"""TIGER: give every item an address learned from its text, and write the next item's address.

Rajput et al., "Recommender Systems with Generative Retrieval", NeurIPS 2023. arXiv:2305.05065

The idea    An item's vector is quantised to a short tuple of codes, its Semantic ID; similar items
            share leading codes. A transformer reads the codes of a history and writes those of the
            next item, so the decoder is the index.
Departures  The default trains a decoder-only transformer on every code of a history in one pass;
            `Config.as_published()` restores the encoder-decoder, which learns one item per pass.
            Residual k-means instead of RQ-VAE by default. Each level has its own softmax. Learned
            positions per item instead of relative biases, AdamW and cosine instead of Adafactor,
            and no user token (the paper's ablation finds no gain from it). The trie lets the beam
            write only items that exist and may be shown; the paper drops invalid ones afterwards.
Measured    docs/papers/tiger.md
Shapes      L codes per item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.nn.code_transformer import DecoderOnly, EncoderDecoder, Shape
from itemlm.nn.temporal import TemporalDepth
from itemlm.objectives.next_code import next_code
from itemlm.objectives.objective import Objective
from itemlm.papers.stages import Codes, next_items, semantic_ids, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.next_items import NextItems, Prefixes
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.train.run import Run

CodeTransformer = DecoderOnly | EncoderDecoder | TemporalDepth


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of TIGER."""

    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 3  # semantic codes per item; one more keeps items apart
    codes: int = 256  # per level
    model: Literal["decoder", "encoder_decoder", "temporal"] = "decoder"  # the transformer
    length: int = 20  # most recent items read
    width: int = 128  # of every layer
    blocks: int = 4  # transformer blocks, in the encoder and the decoder each
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
        sizes = ("levels", "codes", "length", "width", "blocks", "heads", "head_width", "inner")
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        check_at_least(self, 1, *sizes, *counts, "batch_size")
        check_share(self, "dropout")
        check_tokenizer(self.tokenizer)

    @classmethod
    def as_published(cls) -> Config:
        """The paper's text encoder, tokenizer, encoder-decoder and sizes."""
        return cls(
            encoder="sentence-transformers/sentence-t5-base",
            tokenizer="rqvae",
            model="encoder_decoder",
            heads=6,
            inner=1024,
            dropout=0.1,
            batch_size=256,
            learning_rate=5e-4,
        )


def fit(dataset: Dataset, config: Config, run: Run) -> CodeBeam:
    """Describe, tokenize, and train on a dataset."""
    return learn("tiger", dataset, config, run, lambda codes: next_code())


def learn(
    paper: str,
    dataset: Dataset,
    config: Config,
    run: Run,
    objective: Callable[[Codes], Objective],
) -> CodeBeam:
    """`fit` with any objective, for papers that change only that."""
    # 1. Describe every item with a vector made from its text, and turn each vector into a Semantic
    #    ID: a few codes, and one more that keeps items apart.
    tokens = semantic_ids(dataset, config, run)
    # 2. Learn to write the next item's ID, code by code.
    torch.manual_seed(run.seed)
    codes = Codes.of(tokens)
    model = _model(config, codes).to(run.device)
    recommender = _recommender(paper, config, model, Catalog.of(dataset))
    source = Prefixes if config.model == "encoder_decoder" else NextItems
    examples = next_items(dataset, config, run, source)
    train(
        run,
        model,
        objective(codes),
        examples,
        config,
        recommender,
    )
    # 3. Recommend by beam search over the IDs of items that exist.
    return recommender


def restore(saved: Saved) -> CodeBeam:
    """From saved parts."""
    return restored(saved, saved.config_of(Config))


def restored(saved: Saved, config: Config) -> CodeBeam:
    """`restore` with the settings of a paper that changes only the objective."""
    model = _model(config, Codes.saved_in(saved))
    model.load_state_dict(weights_of(saved))
    return _recommender(saved.paper, config, model, saved.catalog)


def _model(config: Config, codes: Codes) -> CodeTransformer:
    kinds: dict[str, type[CodeTransformer]] = {
        "decoder": DecoderOnly,
        "encoder_decoder": EncoderDecoder,
        "temporal": TemporalDepth,
    }
    return kinds[config.model](
        codes.codes_NL, codes.levels, config.length, Shape.of(config), shared=codes.shared
    )


def _recommender(paper: str, config: Config, model: CodeTransformer, catalog: Catalog) -> CodeBeam:
    codes_NL = model.table.codes_NL[:-1].cpu().numpy()
    return CodeBeam(
        paper, model, codes_NL, catalog, config, length=config.length, beams=config.beams
    )
