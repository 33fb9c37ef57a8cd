"""LanguageModel: a causal or sequence-to-sequence model of Hugging Face, as a part of a paper.

`lm.models` makes them: fresh, pretrained, or back from a saved recommender.

Shapes      B texts, S tokens of a text, Y tokens of an answer, M tokens to be learned, V tokens of
            the vocabulary (or chosen ones), D width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from itemlm.lm.attention import share_memory
from itemlm.lm.plain_attention import use_plain_attention
from itemlm.lm.words import words_as_text
from itemlm.types import ConfigError, MissingExtra

NOTHING = -100  # the label of a token that is not to be learned
NEAR = 0.1  # how far from the mean new tokens begin, as a share of the spread of the others


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters (Hu et al. 2022) on every linear layer inside the blocks."""

    rank: int
    alpha: float
    dropout: float


class Texts(Protocol):
    """What a language model reads and learns from; `lm.examples.TextBatch` is one."""

    @property
    def ids_BS(self) -> Tensor: ...

    @property
    def mask_BS(self) -> Tensor: ...

    @property
    def labels_BY(self) -> Tensor: ...


class LanguageModel(nn.Module):
    """A model and its vocabulary.

    Attributes:
        model: of transformers, with its output layer.
        words: its tokenizer, with a padding token.
        is_seq2seq: whether an encoder reads the text before a decoder writes.

    Args:
        model, words: those.
        seed: of all that is added, tokens and adapters.
        spread: of the vectors of new tokens around the mean of the others, as a share of these
            others' spread: 1 where those are random too, so that nothing is learned by being near.
    """

    def __init__(self, model: Any, words: Any, *, seed: int = 0, spread: float = NEAR) -> None:
        super().__init__()
        self.seed, self.spread = seed, spread
        if not words.is_fast:
            raise ConfigError(
                f"the tokenizer of {type(model).__name__} has no fast version (tokenizer.json), "
                "which is what can be kept with a recommender. Choose a model that has one."
            )
        self.model: Any = model
        self.words = words
        self.lora: Lora | None = None
        self.is_seq2seq = bool(model.config.is_encoder_decoder)
        if words.pad_token is None:
            words.pad_token = words.eos_token
        words.backend_tokenizer.no_truncation()
        words.backend_tokenizer.no_padding()
        model.config.pad_token_id = words.pad_token_id
        model.config.use_cache = False  # whoever wants a cache brings one
        if self.is_seq2seq:
            share_memory(model)
        else:
            use_plain_attention(model)

    @property
    def width(self) -> int:
        """Of the vectors of tokens."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    # --- Texts to tokens ------------------------------------------------------------------------

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without any that mark its beginning or end."""
        encoded = self.words.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [part.ids for part in encoded]

    def tokenize(self, texts: Sequence[str], limit: int) -> tuple[Tensor, Tensor]:
        """What is read of texts: ids_BS and mask_BS, which is True at real tokens.

        Padded on the right for seq2seq models and on the left for causal ones, whose answers
        follow. Of a text with more than `limit` tokens the last ones are kept, since what is
        asked stands at the end; marks at its beginning and end stay. No text is quite empty: one
        without tokens is read as the end token alone.
        """
        encoded = self.words.backend_tokenizer.encode_batch(list(texts))
        begins = self.words.bos_token_id
        rows = []
        for ids in (part.ids for part in encoded):
            if len(ids) > limit:
                marks = ids[:1] if ids[0] == begins else []
                ids = [*marks, *ids[len(ids) - limit + len(marks) :]]
            rows.append(ids or [self.words.eos_token_id])
        return padded(rows, self.words.pad_token_id, left=not self.is_seq2seq)

    def add_tokens(self, tokens: Sequence[str]) -> list[int]:
        """New tokens of the vocabulary, such as item codes; returns their ids.

        Their vectors begin near the mean of the others, each a little different; where input and
        output vectors are different, both.
        """
        known = len(self.words)
        self.words.add_tokens(list(tokens))
        tables = [self.model.get_input_embeddings(), self.model.get_output_embeddings()]
        means = [_mean_and_spread(table.weight[:known]) for table in tables]
        if len(self.words) > len(tables[0].weight):
            self.model.resize_token_embeddings(len(self.words), mean_resizing=False)
        tables = [self.model.get_input_embeddings(), self.model.get_output_embeddings()]
        drawn = int(np.random.SeedSequence([self.seed, known]).generate_state(1)[0])
        for table, (mean_D, spread_D) in zip(tables, means, strict=True):
            dice = torch.Generator().manual_seed(drawn)
            with torch.no_grad():
                new_XD = table.weight[known : len(self.words)]
                noise_XD = torch.randn(new_XD.shape, generator=dice).to(new_XD)
                new_XD.copy_(mean_D + self.spread * spread_D * noise_XD)
        return [int(place) for place in self.words.convert_tokens_to_ids(list(tokens))]

    # --- Tokens to logits -----------------------------------------------------------------------

    def embed(self, batch: Texts) -> Tensor:
        """[B, S, D] what the first layer gets; a paper that adds to it overrides this."""
        out: Tensor = self.model.get_input_embeddings()(batch.ids_BS)
        return out

    def read(self, batch: Texts, cache: Any = None) -> Tensor:
        """[B, S, D] the last states of the tokens that are read.

        Those of the encoder for seq2seq models. Of a causal one, `cache` takes the keys and values.

        Raises:
            ConfigError: if a causal model has not learned so many positions.
        """
        self.check_positions(batch.ids_BS.shape[1])
        embeds_BSD, mask_BS = self.embed(batch), batch.mask_BS.long()
        if self.is_seq2seq:
            read = self.model.get_encoder()(inputs_embeds=embeds_BSD, attention_mask=mask_BS)
        else:
            positions_BS = (mask_BS.cumsum(1) - 1).clamp(min=0)
            read = self.model.base_model(
                inputs_embeds=embeds_BSD,
                attention_mask=mask_BS,
                position_ids=positions_BS,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        out: Tensor = read.last_hidden_state
        return out

    def check_positions(self, length: int) -> None:
        """Refuse a text that is longer than what a causal model can place.

        Raises:
            ConfigError: telling how long it may be.
        """
        places = getattr(self.model.config, "max_position_embeddings", None)
        if places and not self.is_seq2seq and length > places:
            raise ConfigError(
                f"a text has {length} tokens with its answer, but this language model has "
                f"{places} positions only. Let prompts be shorter."
            )

    def forward(self, batch: Texts) -> tuple[Tensor, Tensor]:
        """logits_MV where there is a label, and these labels: targets_M."""
        if not self.is_seq2seq:
            targets_BS, state_BSD = batch.labels_BY[:, 1:], self.read(batch)[:, :-1]
            return self.logits(state_BSD[targets_BS >= 0]), targets_BS[targets_BS >= 0]
        labels_BY = batch.labels_BY
        before_BY = labels_BY.roll(1, dims=1).masked_fill(labels_BY.roll(1, dims=1) < 0, self.pad)
        before_BY[:, 0] = self.start
        state_BYD = self.model.get_decoder()(
            input_ids=before_BY,
            encoder_hidden_states=self.read(batch),
            encoder_attention_mask=batch.mask_BS.long(),
        ).last_hidden_state
        return self.logits(state_BYD[labels_BY >= 0]), labels_BY[labels_BY >= 0]

    def logits(self, state: Tensor, tokens_V: Tensor | None = None) -> Tensor:
        """[..., V] over the whole vocabulary, or over chosen tokens only."""
        head = self.model.get_output_embeddings()
        if getattr(self.model.config, "scale_decoder_outputs", False):  # T5's
            state = state * self.width**-0.5
        if tokens_V is None:
            out: Tensor = head(state)
            return out
        bias_V = None if head.bias is None else head.bias[tokens_V]
        return linear(state, head.weight[tokens_V], bias_V)

    @property
    def pad(self) -> int:
        """The padding token."""
        return int(self.words.pad_token_id)

    @property
    def start(self) -> int:
        """The token that a seq2seq model's answers begin with."""
        return int(self.model.config.decoder_start_token_id)

    # --- What is trained ------------------------------------------------------------------------

    def freeze(self) -> None:
        """Train nothing of it."""
        self.requires_grad_(False)

    def train_vocabulary(self) -> None:
        """Train the vectors of tokens, such as new ones, whatever else is frozen."""
        self.model.get_input_embeddings().requires_grad_(True)
        self.model.get_output_embeddings().requires_grad_(True)

    def add_lora(self, rank: int, alpha: float, dropout: float) -> None:
        """Train low-rank adapters on every linear layer inside the blocks, and nothing else.

        Raises:
            MissingExtra: if peft is not installed.
            ConfigError: if there are adapters already, or the rank is not positive.
        """
        if self.lora is not None:
            raise ConfigError("the language model has LoRA adapters already.")
        if rank < 1:
            raise ConfigError(f"the rank of LoRA is {rank}, but must be at least 1.")
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ModuleNotFoundError as error:
            raise MissingExtra("LoRA", "llm") from error
        settings: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            inject_adapter_in_model(LoraConfig(**settings, target_modules="all-linear"), self.model)
        self.lora = Lora(rank=rank, alpha=alpha, dropout=dropout)

    # --- Keeping --------------------------------------------------------------------------------

    def documents(self) -> dict[str, str]:
        """Config and vocabulary as JSON texts, from which `lm.models.restored` makes it again.

        Raises:
            ConfigError: if the model's weights are in 4 bits.
        """
        if getattr(self.model, "is_quantized", False):
            raise ConfigError(
                "a language model in 4 bits cannot be saved with a recommender. Fit with "
                "four_bit=False to save it."
            )
        lora = None if self.lora is None else asdict(self.lora)
        return {
            "lm_config": json.dumps(self.model.config.to_dict()),
            "lm_words": words_as_text(self.words),
            "lm_lora": json.dumps(lora),
        }


def padded(rows: Sequence[Sequence[int]], pad: int, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as ids_BS, and mask_BS, which is True where they are real."""
    lengths_B = torch.tensor([len(row) for row in rows], dtype=torch.long)[:, None]
    width = int(lengths_B.max()) if len(rows) else 1
    columns_S = torch.arange(width)
    mask_BS = columns_S >= width - lengths_B if left else columns_S < lengths_B
    ids_BS = torch.full(mask_BS.shape, pad)
    ids_BS[mask_BS] = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    return ids_BS, mask_BS


def _mean_and_spread(weight_VD: Tensor) -> tuple[Tensor, Tensor]:
    weight_VD = weight_VD.detach().float()
    return weight_VD.mean(0), weight_VD.std(0)
