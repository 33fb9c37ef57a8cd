"""RecGPT: items as codes that mean the same in every catalog, and the next one written at once.

Jiang et al., "RecGPT: A Foundation Model for Sequential Recommendation", 2025. arXiv:2506.06270

The idea    Finite scalar quantization turns an item's text vector into four codes without a
            codebook, so any catalog has codes of the same vocabulary. A transformer reads codes
            and vectors of a history, looking in both directions inside an item and only back
            between items, and predicts all four codes of the next item in one pass. With nothing
            in it that belongs to one catalog, it can be asked about another: `onto`.
Departures  A code's vector is made from its digits, so that codes which no training item has get
            one too; where codes are written, each has a row of its own besides.
            `Config.as_published()` has nothing but a row for each of the 15,360. A fifth code, as
            TIGER has one, tells items with equal codes apart (in the released code the last of them
            stands for all). A beginning before the first item, so that everybody gets an answer.
Measured    docs/papers/recgpt.md
Shapes      N items, L codes of an item, S = L - 1 with a meaning, D width of a text vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch

from itemlm.config import check_at_least, check_share
from itemlm.data.dataset import Dataset
from itemlm.encode import ItemEncoder
from itemlm.encode.by_name import encoder_named
from itemlm.encode.lsa import LSA, FittedLSA
from itemlm.nn.code_transformer import Shape
from itemlm.nn.item_blocks import ItemBlocks, Items
from itemlm.objectives.all_codes import all_codes
from itemlm.papers.stages import next_items, train
from itemlm.recommender import Catalog, Saved
from itemlm.retrieve.code_beam import CodeBeam
from itemlm.text.describe import describe
from itemlm.tokenize.fsq import fsq
from itemlm.tokenize.scalar import ScalarQuantizer
from itemlm.tokenize.tokens import ItemTokens, unique
from itemlm.train.run import Run
from itemlm.types import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of RecGPT."""

    encoder: str = "lsa"  # it is kept; or the name or path of a sentence-transformers model
    levels: int = 4  # codes per item; one more, without meaning, keeps items apart
    codes: int = 15_360  # per level; the FSQ paper's digits for it are 8, 8, 8, 6 and 5
    vocabulary: Literal["grid", "codes"] = "grid"  # a code's vector: by its digits, or by heart
    length: int = 20  # most recent items read
    width: int = 128  # of every layer
    blocks: int = 3  # transformer blocks
    heads: int = 2  # of attention
    head_width: int = 64  # of a head; heads * head_width need not be width
    inner: int = 512  # width inside the feed-forward layers
    dropout: float = 0.2  # on what every layer adds
    beams: int = 100  # candidates kept at each level of the search
    epochs: int = 60  # at most, and the length of the learning rate's schedule
    patience: int = 6  # validations without a better NDCG@10
    validate_every: int = 2  # epochs
    validation_questions: int = 2000  # a sample
    batch_size: int = 128  # windows of histories
    learning_rate: float = 2e-3  # the highest
    weight_decay: float = 0.05  # of AdamW

    def __post_init__(self) -> None:
        sizes = ("levels", "length", "width", "blocks", "heads", "head_width", "inner", "beams")
        check_at_least(self, 3, "codes")
        check_at_least(self, 1, *sizes, "batch_size", "epochs", "patience", "validate_every")
        check_at_least(self, 1, "validation_questions")
        check_share(self, "dropout")

    @classmethod
    def as_published(cls) -> Config:
        """The released code's sizes; its encoder has to be downloaded."""
        return cls(
            encoder="sentence-transformers/all-mpnet-base-v2",
            vocabulary="codes",
            width=768,
            heads=12,
            inner=3072,
            dropout=0.1,
            beams=20,
            epochs=5,
            batch_size=40,
            learning_rate=1e-4,
            weight_decay=0.0,
        )


class TransferableBeam(CodeBeam):
    """Beam search over the codes of a catalog that can be exchanged.

    Args:
        model: reads and writes.
        quantizer: gives codes to the vectors of any catalog.
        encoder: makes vectors of any catalog's texts.
        catalog: the items that are recommended.
        config: settings.
    """

    def __init__(
        self,
        model: ItemBlocks,
        quantizer: ScalarQuantizer,
        encoder: ItemEncoder,
        catalog: Catalog,
        config: Config,
    ) -> None:
        codes_NL = model.items.codes_NL.cpu().numpy()
        super().__init__(
            "recgpt", model, codes_NL, catalog, config, length=config.length, beams=config.beams
        )
        self.blocks, self.quantizer, self.encoder = model, quantizer, encoder

    def onto(
        self, catalog: Dataset | Catalog, vectors_ND: FloatArray | None = None
    ) -> TransferableBeam:
        """The same model for the items of another catalog; nothing is learned.

        Args:
            catalog: its texts are encoded and quantized by what was fitted on the first catalog,
                so it needs columns that say something in the same words.
            vectors_ND: of its texts, if this recommender's encoder has made them already.
        """
        if vectors_ND is None:
            vectors_ND = self.encoder.encode(describe(catalog))
        codes_NS = self.quantizer.codes(vectors_ND)
        tokens = unique(codes_NS, self.quantizer.levels, seed=0)
        items = _items(tokens.codes_NL, self.quantizer, vectors_ND, are_known=False)
        last_codes = self.blocks.read_last.num_embeddings
        model = _model(self.config, self.quantizer, last_codes, items)
        own, learned = items.state_dict(prefix="items."), self.model.state_dict()
        model.load_state_dict(learned | own)
        device = next(iter(self.model.parameters())).device
        there = Catalog.of(catalog) if isinstance(catalog, Dataset) else catalog
        moved = TransferableBeam(model.to(device), self.quantizer, self.encoder, there, self.config)
        moved.card = self.card
        return moved

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The model's weights and items, the quantizer, and the encoder where it was fitted."""
        kept = {f"quantizer.{name}": part for name, part in self.quantizer.arrays().items()}
        if isinstance(self.encoder, FittedLSA):
            kept |= {f"encoder.{name}": part for name, part in self.encoder.arrays().items()}
        kept["are_known"] = np.array(self.blocks.items.are_known, dtype=np.int64)
        return {f"model.{name}": part for name, part in super().state().items()} | kept

    def documents(self) -> dict[str, str]:
        """The terms of a fitted encoder."""
        return {"terms": self.encoder.document()} if isinstance(self.encoder, FittedLSA) else {}


def fit(dataset: Dataset, config: Config, run: Run) -> TransferableBeam:
    """Encode, quantize, and train on a dataset."""
    # 1. Describe every item with a vector. The encoder is kept, to encode other catalogs with.
    texts = describe(dataset)
    if config.encoder == "lsa":
        encoder: ItemEncoder = run.keep("encoder", lambda: LSA().fitted(texts), FittedLSA)
    else:
        encoder = encoder_named(config.encoder)
    vectors_ND = run.keep("vectors", lambda: encoder.encode(texts))
    # 2. Learn to write vectors as codes, and keep that too.
    tokens = run.keep(
        "tokens", lambda: fsq(vectors_ND, config.levels, config.codes, run.seed), ItemTokens
    )
    quantizer = cast(ScalarQuantizer, tokens.quantizer)
    # 3. Learn to write the next item's codes, all at once.
    torch.manual_seed(run.seed)
    items = _items(tokens.codes_NL, quantizer, vectors_ND, are_known=True)
    model = _model(config, quantizer, tokens.levels[-1], items).to(run.device)
    recommender = TransferableBeam(model, quantizer, encoder, Catalog.of(dataset), config)
    examples = next_items(dataset, config, run)
    train(
        run,
        model,
        all_codes(),
        examples,
        config,
        recommender,
    )
    # 4. Recommend by beam search over the codes of items that exist.
    return recommender


def restore(saved: Saved) -> TransferableBeam:
    """From saved parts."""
    config = saved.config_of(Config)

    def parts(of: str) -> dict[str, np.ndarray[Any, Any]]:
        named = saved.state.items()
        return {k.removeprefix(f"{of}."): part for k, part in named if k.startswith(f"{of}.")}

    quantizer = ScalarQuantizer.from_arrays(parts("quantizer"))
    if config.encoder == "lsa":
        encoder: ItemEncoder = FittedLSA.restored(parts("encoder"), saved.documents["terms"])
    else:
        encoder = encoder_named(config.encoder)
    weights = {name: torch.from_numpy(part) for name, part in parts("model").items()}
    items = Items(
        weights["items.codes_NL"],
        weights["items.parts_NCP"],
        are_known=bool(saved.state["are_known"]),
    )
    model = _model(config, quantizer, len(weights["written_last.weight"]), items)
    model.load_state_dict(weights)
    return TransferableBeam(model, quantizer, encoder, saved.catalog, config)


def _items(
    codes_NL: IntArray, quantizer: ScalarQuantizer, vectors_ND: FloatArray, *, are_known: bool
) -> Items:
    """A catalog with these codes and vectors, which are cut into a part for each code."""
    x_ND = quantizer.standardized(vectors_ND)
    codes = len(quantizer.levels)
    x_ND = np.pad(x_ND, ((0, 0), (0, -x_ND.shape[1] % codes)))
    parts_NCP = torch.from_numpy(x_ND.reshape(len(x_ND), codes, -1))
    return Items(torch.tensor(codes_NL), parts_NCP, are_known=are_known)


def _model(config: Config, quantizer: ScalarQuantizer, last_codes: int, items: Items) -> ItemBlocks:
    shape = Shape.of(config)
    return ItemBlocks(
        items, quantizer.digits, last_codes, config.length, shape, steps=config.vocabulary == "grid"
    )
