"""Sentence encoders: item vectors from a pretrained language model, by sentence-transformers.

Models are loaded from a local folder or, if there is a network, from the Hugging Face hub. Only
weights in safetensors form are read, and no code that comes with a model is run.

Shapes      N texts, M distinct texts, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from itemlm.types import ConfigError, FloatArray, MissingExtra

Precision = Literal["float32", "bfloat16"]


class SentenceTransformerEncoder:
    """Any sentence-transformers model. Needs the extra `text`.

    Args:
        model: a folder, or a name on the Hugging Face hub.
        precision: "bfloat16" is about twice as fast on processors that compute in it (AVX-512 BF16,
            AMX, recent GPUs), slower on others, and changes vectors by about 1e-4 in cosine.
        batch_size: texts at a time.
        device: "cpu", "cuda"...; the best there is if None.
        progress: show a progress bar.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        precision: Precision = "float32",
        batch_size: int = 64,
        device: str | None = None,
        progress: bool = True,
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision is {precision!r}; choose 'float32' or 'bfloat16'.")
        self.model = str(model)
        self.precision = precision
        self.batch_size = batch_size
        self.device = device
        self.progress = progress

    @cached_property
    def name(self) -> str:
        """The model (a folder's weights by their digest, so that it may be moved) and precision."""
        folder = Path(self.model)
        if not folder.is_dir():
            return f"sentence-transformers {self.model} {self.precision}"
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".json", ".safetensors", ".txt"):
                digest.update(path.relative_to(folder).as_posix().encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return f"sentence-transformers {digest.hexdigest()[:16]} {self.precision}"

    @cached_property
    def width(self) -> int:
        """Numbers per vector."""
        return int(self._loaded.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[N, D] float32 of length 1. Texts beyond what the model reads are cut by it.

        Every distinct text is encoded once.

        Raises:
            MissingExtra: if sentence-transformers is not installed.
            ConfigError: if there is no such model.
        """
        distinct, place_N = np.unique(np.array(texts, dtype=str), return_inverse=True)
        if not len(distinct):
            return np.empty((0, self.width), dtype=np.float32)
        vectors_MD = self._loaded.encode(
            distinct.tolist(),
            batch_size=self.batch_size,
            show_progress_bar=self.progress,
            normalize_embeddings=False,
            convert_to_tensor=True,
        )
        # Lengths are set in float32, whatever the model computes in.
        unit_MD = vectors_MD.float().cpu().numpy()
        unit_MD /= np.maximum(np.linalg.norm(unit_MD, axis=1, keepdims=True), 1e-12)
        vectors_ND: FloatArray = unit_MD[place_N]
        return vectors_ND

    @cached_property
    def _loaded(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise MissingExtra("the sentence encoder", "text") from error
        try:
            return SentenceTransformer(
                self.model,
                device=self.device,
                model_kwargs={"dtype": self.precision, "use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"no sentence-transformers model could be loaded from '{self.model}' ({reason}). "
                "Give a folder that holds one with safetensors weights, or a name on the Hugging "
                "Face hub with the network on."
            ) from error
