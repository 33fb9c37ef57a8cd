"""LanguageModel: a causal or sequence-to-sequence model of Hugging Face, as a part of a paper.

    fresh             random weights and a vocabulary learned from the texts it will read
    pretrained        any model with a text vocabulary, by name on the hub or by folder
    language_model    one of the two, by what a setting says
    restored          from a saved recommender, without a network

Shapes      B texts, S tokens of a text, Y tokens of an answer, M tokens to be learned, V tokens of
            the vocabulary (or chosen ones), D width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from itemlm.lm.attention import share_memory
from itemlm.lm.plain_attention import use_plain_attention
from itemlm.lm.words import learned_words, transformers, words_as_text, words_from_text
from itemlm.types import ConfigError, MissingExtra

Kind = Literal["causal", "seq2seq"]
NOTHING = -100  # the label of a token that is not to be learned
SPREAD = 0.1  # of new tokens around the mean of the others, as a share of theirs


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of a fresh model; the defaults train in seconds on a processor."""

    width: int = 64
    blocks: int = 2  # of the encoder and the decoder each
    heads: int = 2
    inner: int = 256  # width inside the feed-forward layers
    vocabulary: int = 2000  # tokens at most; 259 are bytes and special ones
    dropout: float = 0.1  # everywhere in a seq2seq model; in attention only in a causal one

    def __post_init__(self) -> None:
        for name in ("width", "blocks", "heads", "inner"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ConfigError(
                f"width {self.width} cannot be split evenly into {self.heads} heads of an even "
                "width; choose a multiple of twice the heads."
            )


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
    """

    def __init__(self, model: Any, words: Any) -> None:
        super().__init__()
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

    def add_tokens(self, tokens: Sequence[str], spread: float = SPREAD) -> list[int]:
        """New tokens of the vocabulary, such as item codes; returns their ids.

        Their vectors begin near the mean of the others, each a little different; where input and
        output vectors are different, both.

        Args:
            tokens: how they are written.
            spread: how far from the mean they begin, as a share of the others' spread: 1 where
                those are random too, so that nothing is learned by being near them.
        """
        known = len(self.words)
        self.words.add_tokens(list(tokens))
        tables = [self.model.get_input_embeddings(), self.model.get_output_embeddings()]
        means = [_mean_and_spread(table.weight[:known]) for table in tables]
        if len(self.words) > len(tables[0].weight):
            self.model.resize_token_embeddings(len(self.words), mean_resizing=False)
        tables = [self.model.get_input_embeddings(), self.model.get_output_embeddings()]
        for table, (mean_D, spread_D) in zip(tables, means, strict=True):
            dice = torch.Generator().manual_seed(known)
            with torch.no_grad():
                new_XD = table.weight[known : len(self.words)]
                noise_XD = torch.randn(new_XD.shape, generator=dice).to(new_XD)
                new_XD.copy_(mean_D + spread * spread_D * noise_XD)
        return [int(place) for place in self.words.convert_tokens_to_ids(list(tokens))]

    # --- Tokens to logits -----------------------------------------------------------------------

    def embed(self, batch: Texts) -> Tensor:
        """[B, S, D] what the first layer gets; a paper that adds to it overrides this."""
        out: Tensor = self.model.get_input_embeddings()(batch.ids_BS)
        return out

    def read(self, batch: Texts, cache: Any = None) -> Tensor:
        """[B, S, D] the last states of the tokens that are read.

        Those of the encoder for seq2seq models. Of a causal one, `cache` takes the keys and values.
        """
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
        inject_adapter_in_model(LoraConfig(**settings, target_modules="all-linear"), self.model)
        self.lora = Lora(rank=rank, alpha=alpha, dropout=dropout)

    # --- Keeping --------------------------------------------------------------------------------

    def documents(self) -> dict[str, str]:
        """Config and vocabulary as JSON texts, from which `restored` makes it again.

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


# --- Making -------------------------------------------------------------------------------------


def fresh(texts: Sequence[str], kind: Kind, size: Size, seed: int) -> LanguageModel:
    """A small model with random weights: a T5 if seq2seq, a Qwen2 if causal.

    Args:
        texts: from which its vocabulary is learned.
        kind: "causal" or "seq2seq".
        size: of the model.
        seed: of the weights.
    """
    library = transformers()
    words = learned_words(texts, size.vocabulary, ends=kind == "seq2seq")
    special = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id}
    if kind == "seq2seq":
        config = library.T5Config(
            vocab_size=len(words),
            d_model=size.width,
            d_kv=size.width // size.heads,
            d_ff=size.inner,
            num_layers=size.blocks,
            num_heads=size.heads,
            dropout_rate=size.dropout,
            decoder_start_token_id=words.pad_token_id,
            **special,
        )
    else:
        config = library.Qwen2Config(
            vocab_size=len(words),
            hidden_size=size.width,
            intermediate_size=size.inner,
            num_hidden_layers=size.blocks,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            attention_dropout=size.dropout,
            tie_word_embeddings=True,
            bos_token_id=None,
            **special,
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(_of_config(config), words).eval()


def pretrained(name_or_path: str, four_bit: bool = False) -> LanguageModel:
    """Any causal or seq2seq model; a folder needs no network.

    Only weights in safetensors form are read, and no code that comes with a model is run.

    Args:
        name_or_path: a folder, or a name on the Hugging Face hub.
        four_bit: keep the weights in 4 bits (NF4, Dettmers et al. 2023) while adapters are trained
            on top. Needs an NVIDIA GPU and bitsandbytes; such a model cannot be saved.

    Raises:
        MissingExtra: if transformers is not installed.
        ConfigError: if there is no such model, or it cannot be used here.
    """
    library = transformers()
    options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True}
    if four_bit:
        options["quantization_config"] = _four_bits()
    try:
        config = library.AutoConfig.from_pretrained(name_or_path)
        kind = library.AutoModelForSeq2SeqLM if config.is_encoder_decoder else None
        model = (kind or library.AutoModelForCausalLM).from_pretrained(name_or_path, **options)
        words = library.AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"no language model could be loaded from '{name_or_path}' ({reason}). Give a folder "
            "that holds one with safetensors weights, or a name on the Hugging Face hub with the "
            "network on."
        ) from error
    made = LanguageModel(model, words).eval()
    _check_logits(made)
    return made


def language_model(
    name: str, *, kind: Kind, texts: Sequence[str], size: Size, seed: int
) -> LanguageModel:
    """What a setting `lm: str = "fresh"` means: a fresh model, or a pretrained one.

    Args:
        name: "fresh", a folder, or a name on the Hugging Face hub.
        kind: what the paper needs.
        texts: from which a fresh model's vocabulary is learned.
        size: of a fresh model.
        seed: of a fresh model's weights.

    Raises:
        ConfigError: if there is no such model, or it is of the other kind.
    """
    if name == "fresh":
        return fresh(texts, kind, size, seed)
    made = pretrained(name)
    if made.is_seq2seq != (kind == "seq2seq"):
        raise ConfigError(
            f"'{name}' is a {'seq2seq' if made.is_seq2seq else 'causal'} model, but a {kind} one "
            f"is needed here, such as {'t5-small' if kind == 'seq2seq' else 'Qwen/Qwen2.5-0.5B'}."
        )
    return made


def restored(
    documents: Mapping[str, str], state: Mapping[str, np.ndarray[Any, Any]], prefix: str
) -> LanguageModel:
    """Back from a saved recommender, without a network.

    Args:
        documents: as `LanguageModel.documents` gave them.
        state: named arrays of a module that the language model is a part of.
        prefix: what the names of its own arrays begin with, such as "language_model.".
    """
    settings = json.loads(documents["lm_config"])
    config = transformers().CONFIG_MAPPING[settings["model_type"]].from_dict(settings)
    made = LanguageModel(_of_config(config), words_from_text(documents["lm_words"]))
    lora = json.loads(documents["lm_lora"])
    if lora is not None:
        made.add_lora(**lora)
    made.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(part)
            for name, part in state.items()
            if name.startswith(prefix)
        }
    )
    return made.eval()


def _of_config(config: Any) -> Any:
    library = transformers()
    kind = library.AutoModelForSeq2SeqLM if config.is_encoder_decoder else None
    return (kind or library.AutoModelForCausalLM).from_config(config)


def _four_bits() -> Any:
    if not torch.cuda.is_available():
        raise ConfigError(
            "a model in 4 bits needs an NVIDIA GPU, which is not here. Use a smaller model, or "
            "four_bit=False."
        )
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            "a model in 4 bits needs bitsandbytes, which is not part of itemlm. Run: "
            "pip install bitsandbytes"
        )
    return transformers().BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


@torch.inference_mode()
def _check_logits(made: LanguageModel) -> None:
    """Some models bend their logits after the last layer, which `logits` would miss."""
    ids_BS = torch.full((1, 1), made.pad, device=made.model.device)
    asked = {"decoder_input_ids": torch.full_like(ids_BS, made.start)} if made.is_seq2seq else {}
    theirs_B1V = made.model(input_ids=ids_BS, **asked).logits
    one = _Token(ids_BS, ids_BS >= 0, ids_BS)
    ours_MV, _ = made(one) if made.is_seq2seq else (made.logits(made.read(one))[0], None)
    if not torch.allclose(ours_MV.float(), theirs_B1V[0].float(), atol=1e-2, rtol=1e-2):
        raise ConfigError(
            f"{type(made.model).__name__} changes its logits after the output layer in a way that "
            "itemlm does not know, so its probabilities would be wrong. Choose another model."
        )


@dataclass(frozen=True)
class _Token:
    ids_BS: Tensor
    mask_BS: Tensor
    labels_BY: Tensor
