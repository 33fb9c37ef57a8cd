"""A `CodeBeam` whose queries say what is wanted: `Query(history=..., text="Find a gift.")`.

Shapes      B queries.
"""

from __future__ import annotations

from typing import Any

import torch

from itemlm.retrieve.code_beam import CodeBeam
from itemlm.sample.preferences import PreferenceBatch
from itemlm.types import QueryBatch


class PreferenceBeam(CodeBeam):
    """Over a model that reads a `PreferenceBatch`."""

    reads_text = True

    def _histories(self, batch: QueryBatch, device: torch.device) -> PreferenceBatch:  # type: ignore[override]
        texts = [""] * len(batch) if batch.texts is None else list(batch.texts)
        return PreferenceBatch(super()._histories(batch, device), texts)

    def documents(self) -> dict[str, str]:
        """What the model's reader knows of words."""
        model: Any = self.model
        documents: dict[str, str] = model.reader.documents()
        return documents
