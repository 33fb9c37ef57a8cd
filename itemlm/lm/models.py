"""Making language models.

    fresh             random weights and a vocabulary learned from the texts it will read
    pretrained        any model with a text vocabulary, by name on the hub or by folder
    language_model    one of the two, by what a setting says
    restored          from a saved recommender, without a network

Shapes      B texts, S tokens of a text, Y tokens of an answer, M tokens to be learned, V tokens of
            the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from itemlm.lm.language_model import LanguageModel
from itemlm.lm.words import learned_words, transformers, words_from_text
from itemlm.nn.code_transformer import BlockSettings
from itemlm.types import ConfigError

Kind = Literal["causal", "seq2seq"]


class SizeSettings(BlockSettings, Protocol):
    """The fields of a Config that say how large a fresh model is."""

    @property
    def vocabulary(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of a fresh model; the defaults train in seconds on a processor."""

    width: int = 64
    blocks: int = 2  # of the encoder and the decoder each
    heads: int = 2
    inner: int = 256  # width inside the feed-forward layers
    vocabulary: int = 2000  # tokens at most; 259 are bytes and special ones
    dropout: float = 0.1  # everywhere in a seq2seq model; in attention only in a causal one

    @classmethod
    def of(cls, config: SizeSettings) -> Size:
        """The sizes that a paper's settings ask for."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    def __post_init__(self) -> None:
        for name in ("width", "blocks", "heads", "inner"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ConfigError(
                f"width {self.width} cannot be split evenly into {self.heads} heads of an even "
                "width; choose a multiple of twice the heads."
            )


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
        return LanguageModel(_of_config(config), words, seed=seed, spread=1.0).eval()


def pretrained(name_or_path: str, seed: int = 0, *, four_bit: bool = False) -> LanguageModel:
    """Any causal or seq2seq model; a folder needs no network.

    Only weights in safetensors form are read, and no code that comes with a model is run.

    Args:
        name_or_path: a folder, or a name on the Hugging Face hub.
        seed: of all that is added to it.
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
    made = LanguageModel(model, words, seed=seed).eval()
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
        seed: of a fresh model's weights, and of all that is added.

    Raises:
        ConfigError: if there is no such model, or it is of the other kind.
    """
    if name == "fresh":
        return fresh(texts, kind, size, seed)
    made = pretrained(name, seed)
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
