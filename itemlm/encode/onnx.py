"""Text vectors at serving time: a sentence encoder in ONNX form, without PyTorch.

A process that only answers requests need not load PyTorch and transformers, which takes seconds
and half a gigabyte. `onnx_export.export_onnx` writes a folder once; onnxruntime and tokenizers read
it in a fraction of a second and compute the same vectors. Nothing in the folder is unpickled and no
code in it is run.

    encoder.json     what the model is and how texts are to be cut, with checksums of the others
    model.onnx       tokens in, vectors of length 1 out
    tokenizer.json   texts to tokens

Shapes      N texts, M distinct texts, T tokens of the longest text of a batch, D width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from itemlm.types import ArtifactError, ConfigError, FloatArray, MissingExtra

FORMAT = "itemlm onnx encoder"
VERSION = 1
DESCRIPTION, MODEL, TOKENIZER = "encoder.json", "model.onnx", "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `encoder.json` says."""

    source: str  # digest of the folder that it was made from
    pooling: str  # of the tokens of a text: "mean" or "cls"
    width: int
    max_tokens: int  # the rest of a text is cut off
    pad_token: int
    lower_case: bool  # texts are lower-cased before the tokenizer sees them
    prefix: str  # put before every text
    checksums: dict[str, str] = field(default_factory=dict)

    def written(self) -> str:
        """As a JSON text."""
        said = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(said, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Description:
        """That of a folder, whose files are checked against it.

        Raises:
            ArtifactError: if a file is missing, changed or of another format version.
        """
        path = folder / DESCRIPTION
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ArtifactError(
                f"{folder} is no exported encoder: it has no {path.name}."
            ) from error
        except ValueError as error:
            raise ArtifactError(f"{path} is damaged ({error}). {_AGAIN}") from error
        if not isinstance(said, Mapping) or said.get("format") != FORMAT:
            raise ArtifactError(f"{path} does not describe an exported encoder. {_AGAIN}")
        if said.get("version") != VERSION:
            raise ArtifactError(
                f"{folder} has format version {said.get('version')}, this itemlm reads {VERSION}. "
                f"{_AGAIN}"
            )
        kinds = {**get_type_hints(cls), "checksums": dict}
        for part in fields(cls):
            if type(said.get(part.name)) is not kinds[part.name]:
                raise ArtifactError(f"{path} is damaged: '{part.name}' is not right. {_AGAIN}")
        described = cls(**{part.name: said[part.name] for part in fields(cls)})
        for name in (MODEL, TOKENIZER):
            if not (folder / name).is_file():
                raise ArtifactError(f"{folder} is incomplete: {name} is missing. {_AGAIN}")
            if checksum(folder / name) != described.checksums.get(name):
                raise ArtifactError(
                    f"{folder / name} is not the file that was exported (its checksum differs). "
                    f"{_AGAIN}"
                )
        return described


_AGAIN = "Copy the folder again, or make it anew with `itemlm export-encoder`."


def is_exported(name: str | Path) -> bool:
    """Whether this is a folder that holds an exported encoder."""
    return (Path(name) / DESCRIPTION).is_file()


class OnnxEncoder:
    """An exported sentence encoder. Needs the extra `serve`.

    It may be used by many threads at once.

    Args:
        folder: made by `export_onnx`.
        threads: processor threads that one call may use; all cores if None.
        batch_size: texts at a time.

    Raises:
        ArtifactError: if the folder is incomplete, damaged or of another version.
        MissingExtra: if onnxruntime or tokenizers is not installed.
    """

    def __init__(
        self, folder: str | Path, *, threads: int | None = None, batch_size: int = 64
    ) -> None:
        for name, number in (("threads", threads), ("batch_size", batch_size)):
            if number is not None and number < 1:
                raise ConfigError(f"{name} is {number}, but must be at least 1.")
        self.folder, self.batch_size = Path(folder), batch_size
        self.description = Description.read(self.folder)
        self._session = _session(self.folder / MODEL, threads)
        self._tokenizer = _tokenizer(self.folder / TOKENIZER, self.description)

    @property
    def name(self) -> str:
        """Digest of the model and of all that is done to texts before it."""
        return f"onnx {hashlib.sha256(self.description.written().encode()).hexdigest()[:16]}"

    @property
    def width(self) -> int:
        """Numbers per vector."""
        return self.description.width

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[N, D] float32 of length 1. What is beyond the tokens that the model reads is cut off.

        Every distinct text is encoded once.
        """
        distinct, place_N = np.unique(
            np.array([_encodable(text) for text in texts], dtype=object), return_inverse=True
        )
        vectors_MD = np.empty((len(distinct), self.width), dtype=np.float32)
        # Texts of about one length share a batch, so that little of it is padding.
        by_length_M = np.argsort([len(text) for text in distinct], kind="stable")
        for start in range(0, len(distinct), self.batch_size):
            part = by_length_M[start : start + self.batch_size]
            vectors_MD[part] = self._batch([distinct[place] for place in part])
        vectors_ND: FloatArray = vectors_MD[place_N]
        return vectors_ND

    def _batch(self, texts: list[str]) -> FloatArray:
        if self.description.lower_case:
            texts = [text.lower() for text in texts]
        read = self._tokenizer.encode_batch([self.description.prefix + text for text in texts])
        tokens = {
            "input_ids": np.array([one.ids for one in read], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in read], dtype=np.int64),
        }
        vectors_bD: FloatArray = self._session.run(None, tokens)[0]
        return vectors_bD


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encodable(text: str) -> str:
    """A text without halves of characters, which no tokenizer reads."""
    return text.encode("utf-8", "replace").decode()


def _session(path: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtra("an exported encoder", "serve") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0 is all cores
    # Between requests its threads sleep, rather than keep cores busy with waiting.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own share no other base
        reason = str(error).strip().splitlines()[0]
        raise ArtifactError(f"onnxruntime cannot read {path} ({reason}). {_AGAIN}") from error


def _tokenizer(path: Path, description: Description) -> Any:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise MissingExtra("an exported encoder", "serve") from error
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(description.max_tokens)
    # The tokens of padding are masked, so what is written there does not matter.
    tokenizer.enable_padding(pad_id=description.pad_token)
    return tokenizer
