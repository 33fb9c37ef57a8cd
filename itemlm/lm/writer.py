"""PromptWriter: a language model that continues prompts by item codes, many at a time.

A prompt is read once, whatever the number of beams. In a causal model all beams of a prompt stand
side by side after it, at the same position, and a mask tells each which tokens are its own. In a
seq2seq model each beam has its own few keys and values, but all look at one memory.

Shapes      B prompts, K beams of each, S tokens of a prompt, X tokens that are cached, V codes of a
            level, D width.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from itemlm.lm.language_model import LanguageModel, Texts
from itemlm.lm.words import transformers
from itemlm.nn.written import Written
from itemlm.types import ConfigError


@dataclass(slots=True)
class _SideBySide:
    """The beams of a causal model.

    Attributes:
        cache: keys and values of prompts and of all that is written, as transformers keeps them.
        own: which of these each beam may look at.
        lengths_B1: of the prompts.
        level: of the next code.
    """

    cache: Any
    own: Written
    lengths_B1: Tensor
    level: int = 0


@dataclass(slots=True)
class _Rows:
    """The beams of a seq2seq model.

    Attributes:
        cache: keys and values of each beam, and of the prompts.
        memory_BSD: what the encoder read.
        mask_B11S: where it is real.
        level: of the next code.
    """

    cache: Any
    memory_BSD: Tensor
    mask_B11S: Tensor
    level: int = 0


class PromptWriter(nn.Module):
    """A `CodeModel` whose codes are tokens of a language model.

    Args:
        language_model: reads prompts.
        tokens_by_level: for each level, the token of each of its codes. Probabilities of a code
            are among these tokens.

    Raises:
        ConfigError: if the model cannot be told the positions of tokens.
    """

    def __init__(self, language_model: LanguageModel, tokens_by_level: Sequence[Tensor]) -> None:
        super().__init__()
        self.language_model = language_model
        for level, tokens_V in enumerate(tokens_by_level):
            self.register_buffer(f"tokens_{level}", tokens_V.long(), persistent=False)
        body = language_model.model.base_model
        takes = inspect.signature(body.forward).parameters
        if not language_model.is_seq2seq and "position_ids" not in takes:
            raise ConfigError(
                f"{type(body).__name__} does not take positions of tokens, so its answers cannot "
                "be searched in parallel. Choose a model with attention, such as Qwen2 or Llama."
            )

    def tokens(self, level: int) -> Tensor:
        """[V] the tokens of a level's codes."""
        tokens_V: Tensor = getattr(self, f"tokens_{level}")
        return tokens_V.to(self.language_model.model.device)  # which training may have moved

    def forward(self, batch: Texts) -> tuple[Tensor, Tensor]:
        """The language model's: logits and labels over the whole vocabulary."""
        out: tuple[Tensor, Tensor] = self.language_model(batch)
        return out

    def read(self, batch: Texts, beams: int) -> tuple[Tensor, _SideBySide | _Rows]:
        """logits_B1V of the first code, and what `write` continues in any number of beams."""
        library, lm = transformers(), self.language_model
        written: _SideBySide | _Rows
        if lm.is_seq2seq:
            cache = library.EncoderDecoderCache(library.DynamicCache(), library.DynamicCache())
            written = _Rows(cache, lm.read(batch), batch.mask_BS[:, None, None])
            start_B1 = torch.full_like(batch.ids_BS[:, :1], lm.start)
            state_B1D = self._decode(written, start_B1)
        else:
            self._refuse_beyond_window(batch.ids_BS.shape[1])
            lengths_B1 = batch.mask_BS.sum(1, keepdim=True)
            own = Written([], batch.mask_BS[:, None])
            written = _SideBySide(library.DynamicCache(), own, lengths_B1)
            state_B1D = lm.read(batch, written.cache)[:, -1:]
        return self._logits(state_B1D, written), written

    def write(self, written: _SideBySide | _Rows, parent_BK: Tensor, codes_BK: Tensor) -> Tensor:
        """logits_BKV of the code after these, each of which continues a beam of the last call.

        A code of -1, after the end of a path, may give any logits.
        """
        tokens_BK = self.tokens(written.level - 1)[codes_BK.clamp(min=0)]
        tokens_BK = tokens_BK.where(codes_BK >= 0, self.language_model.pad)
        if isinstance(written, _Rows):
            state_BKD = self._continue_rows(written, parent_BK, tokens_BK)
        else:
            state_BKD = self._continue_side_by_side(written, parent_BK, tokens_BK)
        return self._logits(state_BKD, written)

    def _logits(self, state_BKD: Tensor, written: _SideBySide | _Rows) -> Tensor:
        written.level += 1
        return self.language_model.logits(state_BKD, self.tokens(written.level - 1))

    # --- Causal: beams side by side -------------------------------------------------------------

    def _continue_side_by_side(
        self, written: _SideBySide, parent_BK: Tensor, tokens_BK: Tensor
    ) -> Tensor:
        """[B, K, D] after one more token of each beam."""
        may_B1KX = written.own.branch(parent_BK)
        embeds_BKD = self.language_model.model.get_input_embeddings()(tokens_BK)
        mask_B1KX = torch.zeros(may_B1KX.shape, dtype=embeds_BKD.dtype, device=tokens_BK.device)
        mask_B1KX.masked_fill_(~may_B1KX, torch.finfo(embeds_BKD.dtype).min)
        out: Tensor = self.language_model.model.base_model(
            inputs_embeds=embeds_BKD,
            attention_mask=mask_B1KX,
            position_ids=(written.lengths_B1 + written.level - 1).expand_as(tokens_BK),
            past_key_values=written.cache,
            use_cache=True,
        ).last_hidden_state
        return out

    def _refuse_beyond_window(self, length: int) -> None:
        window = getattr(self.language_model.model.config, "sliding_window", None)
        levels = len(list(self.buffers(recurse=False)))
        self.language_model.check_positions(length + levels - 1)
        if window is not None and length + levels > window:
            raise ConfigError(
                f"a prompt has {length} tokens, but this language model looks back at "
                f"{window} only. Limit prompts to {window - levels} tokens."
            )

    # --- Seq2seq: beams as rows -----------------------------------------------------------------

    def _continue_rows(self, written: _Rows, parent_BK: Tensor, tokens_BK: Tensor) -> Tensor:
        """[B, K, D] after one more token of each beam."""
        queries, beams = parent_BK.shape
        own = written.cache.self_attention_cache
        before = own.layers[0].keys.shape[0] // queries  # beams of the last call
        first_B1 = before * torch.arange(queries, device=parent_BK.device)[:, None]
        own.reorder_cache((first_B1 + parent_BK).flatten())
        return self._decode(written, tokens_BK.flatten()[:, None]).view(queries, beams, -1)

    def _decode(self, written: _Rows, tokens_X1: Tensor) -> Tensor:
        """[B * K, 1, D] after one more token of each row."""
        out: Tensor = self.language_model.model.get_decoder()(
            input_ids=tokens_X1,
            encoder_hidden_states=written.memory_BSD,
            encoder_attention_mask=written.mask_B11S,
            past_key_values=written.cache,
            use_cache=True,
        ).last_hidden_state
        return out
