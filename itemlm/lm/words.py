"""Words: the sub-word vocabulary of a fresh language model, learned from the texts it will read.

Byte-level byte-pair encoding: every text can be written, and common words become one token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from itemlm.types import MissingExtra

PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"


def transformers() -> Any:
    """The module.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra("a language model", "llm") from error
    return transformers


def learned_words(texts: Sequence[str], size: int, *, ends: bool) -> Any:
    """A tokenizer of up to `size` tokens, the 256 bytes and three special ones among them.

    Args:
        texts: to learn from; the same texts give the same tokens.
        size: most tokens.
        ends: whether every text that is read gets the end token.
    """
    transformers()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    words = Tokenizer(models.BPE(unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, EOS, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(texts, trainer)
    if ends:
        ending = (EOS, words.token_to_id(EOS))
        words.post_processor = processors.TemplateProcessing(
            single=f"$A {EOS}", special_tokens=[ending]
        )
    return _wrapped(words, {"pad_token": PAD, "eos_token": EOS, "unk_token": UNKNOWN})


def words_as_text(words: Any) -> str:
    """Everything about a tokenizer, as JSON."""
    named = {name: str(token) for name, token in words.special_tokens_map.items() if token}
    singles = {name: token for name, token in named.items() if name.endswith("_token")}
    vocabulary = json.loads(words.backend_tokenizer.to_str())
    return json.dumps({"special": singles, "vocabulary": vocabulary}, ensure_ascii=False)


def words_from_text(text: str) -> Any:
    """Back from `words_as_text`."""
    transformers()
    from tokenizers import Tokenizer

    parts = json.loads(text)
    return _wrapped(Tokenizer.from_str(json.dumps(parts["vocabulary"])), parts["special"])


def _wrapped(words: Any, special: dict[str, str]) -> Any:
    return transformers().PreTrainedTokenizerFast(tokenizer_object=words, **special)
