"""Mender: say in words what is wanted, and the generator follows, whatever was taken before.

Paischer et al., "Preference Discerning with LLM-Enhanced Generative Retrieval", TMLR 2025.
arXiv:2412.08604

The idea    A text encoder reads a preference in natural language and the titles of a history; a
            decoder that looks at both writes the Semantic ID of the next item. The preference is
            given when the question is asked, so it can be another one each time.
Departures  The paper lets a language model write preferences from reviews. Ours are made from the
            catalog by the rules in `sample/preferences.py`: in training, nearly as there, a phrase
            of the history that the next item shares; and always the two augmentations that the
            authors' code has as options, preferences of the next item after another history and
            preferences against something. Some examples have none, so that none need be given. The
            encoder learns its words from scratch; `reader=lm` takes a language model's.
Measured    docs/papers/mender.md
Shapes      N items, X words of a title, B queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode.by_name import encoder_named
from itemlm.encode.lsa import LSA, FittedLSA
from itemlm.lm.language_model import LanguageModel
from itemlm.lm.models import Size, language_model, restored
from itemlm.lm.preference_reader import LMReader
from itemlm.nn.code_transformer import Shape
from itemlm.nn.preference_transformer import (
    PreferenceReader,
    PreferenceTransformer,
    VectorReader,
    WordReader,
)
from itemlm.objectives.next_code import next_code
from itemlm.papers.stages import Codes, semantic_ids, train, weights_of
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.preference_beam import PreferenceBeam
from itemlm.sample.preferences import Mix, Preferences
from itemlm.text.describe import describe
from itemlm.text.phrases import phrases
from itemlm.text.preferences import every_form
from itemlm.text.word_rows import WordRows
from itemlm.tokenize.by_name import check_tokenizer
from itemlm.train.run import Run
from itemlm.types import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of Mender."""

    reader: Literal["words", "vectors", "lm"] = "words"  # of texts: each word, one vector, or `lm`
    lm: str = "fresh"  # or the name or path of a sequence-to-sequence model, for reader=lm
    words: int = 20_000  # most words that are known, for reader=words
    words_read: int = 16  # of a preference
    title_words: int = 6  # of each title
    steered: float = 0.3  # share of examples with a preference of the item to predict
    refused: float = 0.1  # share of examples with a preference against something
    none: float = 0.2  # share of examples without a preference
    encoder: str = "lsa"  # or the name or path of a sentence-transformers model
    tokenizer: str = "residual_kmeans"  # or another of `itemlm tokenize fit`
    levels: int = 3  # semantic codes per item; one more keeps items apart
    codes: int = 256  # per level
    length: int = 20  # most recent items read
    width: int = 128  # of every layer
    blocks: int = 2  # transformer blocks, in the encoder and the decoder each
    heads: int = 2  # of attention
    head_width: int = 64  # of a head; heads * head_width need not be width
    inner: int = 256  # width inside the feed-forward layers
    dropout: float = 0.1  # on what every layer adds
    beams: int = 30  # candidates kept at each level of the search
    epochs: int = 30  # at most, and the length of the learning rate's schedule
    patience: int = 10  # validations without a better NDCG@10, asked without preferences
    validate_every: int = 2  # epochs
    validation_questions: int = 2000  # a sample: beam search takes its time
    batch_size: int = 256  # histories
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.035  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "codes", "length", "width", "blocks", "heads", "head_width", "inner")
        counts = ("beams", "epochs", "patience", "validate_every", "validation_questions")
        texts = ("words", "words_read", "title_words")
        check_at_least(self, 1, *sizes, *counts, *texts, "batch_size")
        check_share(self, "dropout", "steered", "refused", "none")
        check_tokenizer(self.tokenizer)
        if self.steered + self.refused + self.none > 1:
            raise ConfigError(
                "steered, refused and none are shares of the examples, but together they are "
                f"{self.steered + self.refused + self.none:.2f}."
            )

    @classmethod
    def as_published(cls) -> Config:
        """The authors' text encoder, codes and sizes, without augmentations."""
        return cls(
            reader="lm",
            lm="google/flan-t5-small",
            steered=0.0,
            refused=0.0,
            none=0.0,
            encoder="sentence-transformers/sentence-t5-base",
            tokenizer="rqvae",
            blocks=6,
            heads=6,
            inner=1024,
            dropout=0.2,
            epochs=100,
            patience=15,
            batch_size=64,
            learning_rate=3e-4,
        )


def fit(dataset: Dataset, config: Config, run: Run) -> PreferenceBeam:
    """Describe, tokenize, make preferences, and train on a dataset."""
    # 1. Give every item a Semantic ID, and find the phrases that preferences can name.
    tokens = semantic_ids(dataset, config, run)
    phrases_of = phrases(dataset)
    # 2. Learn to read words: those of titles and preferences.
    torch.manual_seed(run.seed)
    reader = _reader(config, dataset, every_form(phrases_of), run.seed)
    model = _model(config, Codes.of(tokens), reader).to(run.device)
    recommender = _recommender(config, model, Catalog.of(dataset))
    # 3. Learn to write the next item's ID after a history and a preference.
    examples = Preferences(
        dataset.sequences,
        phrases_of,
        Mix(steered=config.steered, refused=config.refused, none=config.none),
        padding=len(dataset.items),
        length=config.length,
        batch_size=config.batch_size,
        seed=run.seed,
    )
    train(
        run,
        model,
        next_code(),
        examples,
        config,
        recommender,
    )
    # 4. Recommend after whatever a query says it wants.
    return recommender


def restore(saved: Saved) -> PreferenceBeam:
    """From saved parts."""
    config = saved.config_of(Config)
    model = _model(config, Codes.saved_in(saved), _restored_reader(config, saved))
    model.load_state_dict(weights_of(saved))
    return _recommender(config, model, saved.catalog)


def _reader(
    config: Config, dataset: Dataset, preferences: list[str], seed: int
) -> PreferenceReader:
    """A reader that knows the words of titles and preferences."""
    described = describe(dataset)
    if config.reader == "words":
        words = WordRows.learned([*described, *preferences], config.words, at_least=1)
        titles_NX = words.rows(described, config.title_words)
        return WordReader(words, titles_NX, config.words_read, config.width)
    if config.reader == "vectors":
        is_lsa = config.encoder == "lsa"
        texts = [*described, *preferences]
        encoder: Any = LSA().fitted(texts) if is_lsa else encoder_named(config.encoder)
        return VectorReader(encoder, encoder.encode(described), config.width)
    size = Size(width=config.width, blocks=config.blocks, heads=config.heads, inner=config.inner)
    lm = language_model(
        config.lm, kind="seq2seq", texts=[*described, *preferences], size=size, seed=seed
    )
    return _lm_reader(lm, described, config)


def _lm_reader(lm: LanguageModel, described: Sequence[str], config: Config) -> LMReader:
    texts = (config.words_read, config.title_words, config.length)
    return LMReader(lm, described, config.width, *texts)


def _restored_reader(config: Config, saved: Saved) -> PreferenceReader:
    if config.reader == "words":
        titles_NX = saved.state["reader.titles_NX"][:-1]
        words = WordRows.restored(saved.documents["words"])
        return WordReader(words, titles_NX, config.words_read, config.width)
    if config.reader == "vectors":
        vectors_NE = saved.state["reader.vectors_NE"][:-1]
        if config.encoder != "lsa":
            return VectorReader(encoder_named(config.encoder), vectors_NE, config.width)
        begins = "reader.encoder_"
        arrays = {
            name.removeprefix(begins): array
            for name, array in saved.state.items()
            if name.startswith(begins)
        }
        encoder = FittedLSA.restored(arrays, saved.documents["terms"])
        return VectorReader(encoder, vectors_NE, config.width)
    lm = restored(saved.documents, saved.state, "reader.lm.")
    described = describe(saved.catalog)
    return _lm_reader(lm, described, config)


def _model(config: Config, codes: Codes, reader: PreferenceReader) -> PreferenceTransformer:
    shape = Shape.of(config)
    return PreferenceTransformer(
        codes.codes_NL, codes.levels, config.length, shape, reader, shared=codes.shared
    )


def _recommender(config: Config, model: PreferenceTransformer, catalog: Catalog) -> PreferenceBeam:
    codes_NL = model.table.codes_NL[:-1].cpu().numpy()
    return PreferenceBeam(
        "mender", model, codes_NL, catalog, config, length=config.length, beams=config.beams
    )
