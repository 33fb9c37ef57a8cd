"""Writes a sentence encoder in ONNX form, for processes that answer requests without PyTorch.

The folder of a sentence-transformers model is read as its files say: which steps there are, how
tokens become one vector, how long texts may be. What cannot be kept is refused, and the new folder
gets its name only when its vectors have been found equal to those of the original.

Shapes      B texts, T tokens, D width.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from itemlm.data.folder import new_folder
from itemlm.encode.onnx import DESCRIPTION, MODEL, TOKENIZER, Description, OnnxEncoder, checksum
from itemlm.types import ArtifactError, ConfigError, MissingExtra

OPSET = 17
LEAST_COSINE = 0.9999  # of an exported vector with the original one
POOLINGS = ("mean", "cls")
TRIED = (
    "red shoe",
    "a",
    "The Godfather (1972), crime and drama: the aging patriarch of a dynasty hands over control.",
    "Überraschung: ein Café, 25 € – ναι, 映画!",
    "more words than fit " * 200,
)


def export_onnx(model: str | Path, out: str | Path) -> OnnxEncoder:
    """Write an encoder that `OnnxEncoder` reads. Needs the extra `text`.

    Args:
        model: the folder of a sentence-transformers model, or of a plain transformers encoder, in
            which case the tokens' states are averaged. Weights must be in safetensors form.
        out: a folder that appears whole or not at all.

    Returns:
        the encoder, read from `out`.

    Raises:
        ConfigError: if there is no such model or it has steps that cannot be exported.
        MissingExtra: if PyTorch, transformers or onnxruntime is not installed.
        ArtifactError: if the exported vectors are not those of the original, or `out` holds files
            that itemlm did not write.
    """
    source, out = Path(model), Path(out)
    settings = _Settings.read(source)
    torch, transformers = _libraries()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inner = transformers.AutoModel.from_pretrained(
                source, use_safetensors=True, dtype=torch.float32, attn_implementation="eager"
            )
            words = transformers.AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"no model could be loaded from '{source}' ({reason}). Give a folder that holds one "
            "with safetensors weights."
        ) from error
    if not words.is_fast or words.pad_token_id is None:
        raise ConfigError(
            f"the tokenizer of {source} cannot be exported: it has no fast form or no token to pad "
            "with."
        )
    longest = getattr(inner.config, "max_position_embeddings", words.model_max_length)
    description = Description(
        source=settings.digest,
        pooling=settings.pooling,
        width=int(inner.config.hidden_size),
        max_tokens=int(settings.max_tokens or min(longest, words.model_max_length)),
        pad_token=int(words.pad_token_id),
        lower_case=settings.lower_case,
        prefix=settings.prefix,
    )
    encoder = _pooled(torch, inner, settings.pooling)
    with new_folder(out) as folder:
        _write_graph(torch, encoder, folder / MODEL)
        (folder / TOKENIZER).write_text(words.backend_tokenizer.to_str(), encoding="utf-8")
        checksums = {name: checksum(folder / name) for name in (MODEL, TOKENIZER)}
        description = replace(description, checksums=checksums)
        (folder / DESCRIPTION).write_text(description.written(), encoding="utf-8")
        _compare(torch, inner, words, description, OnnxEncoder(folder))
    return OnnxEncoder(out)


# --- What the folder of a model says --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """How a sentence-transformers model turns a text into a vector."""

    digest: str
    pooling: str
    max_tokens: int | None
    lower_case: bool
    prefix: str

    @classmethod
    def read(cls, folder: Path) -> _Settings:
        """Those of a folder; of a plain transformers model, those that it would be given."""
        if not (folder / "config.json").is_file():
            raise ConfigError(
                f"{folder} is not the folder of a model: it has no config.json. Give one that was "
                "saved by sentence-transformers or transformers."
            )
        length = _json(folder / "sentence_bert_config.json")
        asked = _json(folder / "config_sentence_transformers.json")
        prompts, chosen = asked.get("prompts"), asked.get("default_prompt_name")
        return cls(
            digest=_digest(folder),
            pooling=_pooling(folder),
            max_tokens=length.get("max_seq_length"),
            lower_case=bool(length.get("do_lower_case")),
            prefix=str(prompts.get(chosen, "")) if isinstance(prompts, Mapping) else "",
        )


def _pooling(folder: Path) -> str:
    """How the states of a text's tokens become one vector."""
    if not (folder / "modules.json").is_file():
        return "mean"
    try:
        steps = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = [str(step["type"]).rpartition(".")[2] for step in steps]
        paths = [str(step["path"]) for step in steps]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder / 'modules.json'} is damaged. Get the model again.") from error
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"} or paths[0]:
        raise ConfigError(
            f"{folder} consists of {', '.join(kinds)}; only Transformer, Pooling and Normalize can "
            "be exported."
        )
    said = _json(folder / paths[1] / "config.json")
    chosen = said.get("pooling_mode") or [
        {"cls_token": "cls", "mean_tokens": "mean"}.get(key.removeprefix("pooling_mode_"), key)
        for key, value in said.items()
        if key.startswith("pooling_mode_") and value
    ]
    modes = [chosen] if isinstance(chosen, str) else list(chosen)
    if len(modes) != 1 or modes[0] not in POOLINGS or not said.get("include_prompt", True):
        raise ConfigError(
            f"{folder} pools tokens by {', '.join(modes) or 'nothing'}"
            f"{'' if said.get('include_prompt', True) else ' without those of its prompt'}; only "
            f"{' or '.join(POOLINGS)} over all tokens can be exported."
        )
    return str(modes[0])


def _json(path: Path) -> Mapping[str, Any]:
    """A file's content; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}). Get the model again.") from error
    return said if isinstance(said, Mapping) else {}


def _digest(folder: Path) -> str:
    """Of everything in a model's folder that its vectors depend on."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".safetensors", ".txt", ".model"):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(bytes.fromhex(checksum(path)))
    return digest.hexdigest()


# --- Export ---------------------------------------------------------------------------------------


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra("exporting an encoder", "text") from error
    return torch, transformers


def _pooled(torch: Any, inner: Any, pooling: str) -> Any:
    """The model with pooling behind it: tokens in, vectors of length 1 out."""

    class Pooled(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            read = self.inner(input_ids=input_ids, attention_mask=attention_mask)
            state_BTD = read.last_hidden_state
            if pooling == "cls":
                vectors_BD = state_BTD[:, 0]
            else:
                there_BT1 = attention_mask.unsqueeze(-1).to(state_BTD.dtype)
                vectors_BD = (state_BTD * there_BT1).sum(1) / there_BT1.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(vectors_BD, dim=1)

    # On the wrapper: the exporter puts the flag that it finds there back on everything inside.
    return Pooled().eval()


def _write_graph(torch: Any, encoder: Any, path: Path) -> None:
    ids_BT = torch.ones((2, 8), dtype=torch.int64)
    sizes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the exporter, on its own future
        torch.onnx.export(
            encoder,
            (ids_BT, torch.ones_like(ids_BT)),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes={
                "input_ids": sizes,
                "attention_mask": sizes,
                "vectors": {0: "texts"},
            },
            opset_version=OPSET,
            dynamo=False,
        )


def _compare(
    torch: Any, inner: Any, words: Any, description: Description, exported: OnnxEncoder
) -> None:
    """Refuse an export whose vectors are not those of the original, pooled in NumPy.

    Raises:
        ArtifactError: if a vector differs.
    """
    said = [text.lower() if description.lower_case else text for text in TRIED]
    tokens = words(
        [description.prefix + text for text in said],
        padding=True,
        truncation=True,
        max_length=description.max_tokens,
        return_tensors="pt",
    )
    with torch.inference_mode():
        state_BTD = inner(**tokens).last_hidden_state.numpy()
    there_BT1 = tokens["attention_mask"].numpy()[:, :, None]
    total_BD = state_BTD[:, 0] if description.pooling == "cls" else (state_BTD * there_BT1).sum(1)
    original_BD = total_BD / np.linalg.norm(total_BD, axis=1, keepdims=True)
    exported_BD = exported.encode(TRIED)
    cosine_B = (original_BD * exported_BD).sum(axis=1)
    if not cosine_B.min() > LEAST_COSINE:
        raise ArtifactError(
            f"the exported vectors are not those of the original: their cosine falls to "
            f"{cosine_B.min():.5f}, but must be above {LEAST_COSINE}. The model cannot be exported."
        )
