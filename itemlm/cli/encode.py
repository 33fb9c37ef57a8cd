"""`itemlm encode`: a vector per item, from its text; `export-encoder`: an encoder to serve with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli.console import facts, show
from itemlm.cli.inputs import open_data, titles
from itemlm.cli.options import ColumnOption, DataArgument, EncoderOption, ItemsOption, UsersOption

if TYPE_CHECKING:
    from itemlm.data.dataset import Dataset
    from itemlm.types import FloatArray


def encode(
    data: DataArgument,
    out: Annotated[
        Path,
        typer.Option(help="A NumPy file: one row per item, in catalog order.", metavar="FILE.npy"),
    ],
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
) -> None:
    """Turn every item's text into a vector, close for items that are described alike.

    For example:

    ```
    itemlm encode demo --out vectors.npy
    itemlm encode mydata --encoder all-MiniLM-L6-v2 --out vectors.npy
    ```
    """
    import numpy as np

    from itemlm.types import ConfigError

    if out.suffix != ".npy":
        raise ConfigError(f"{out} does not end in .npy, as a file of vectors must.")
    dataset = open_data(data, items, users, column)
    vectors_ND = vectors_of(dataset, encoder)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.partial")
    with aside.open("wb") as file:
        np.save(file, vectors_ND)
    aside.replace(out)
    count, width = vectors_ND.shape
    most_popular = int(dataset.item_counts.argmax())
    closest = np.argsort(-(vectors_ND @ vectors_ND[most_popular]), kind="stable")
    names = titles(dataset.catalog, np.array([most_popular, *closest[closest != most_popular][:3]]))
    rows = [
        ("vectors", f"{count:,} items, {width} numbers each"),
        ("close to each other", f"{names[0]}: {', '.join(names[1:])}"),
        ("saved in", str(out)),
    ]
    show(facts(rows))


def export_encoder(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="The folder of a sentence-transformers model."),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder; made whole or not at all.", metavar="FOLDER")
    ],
) -> None:
    """Write a sentence encoder in ONNX form, which needs no PyTorch and starts in half a second.

    The folder is an encoder wherever one is named. For example:

    ```
    itemlm export-encoder ./all-MiniLM-L6-v2 --out minilm
    itemlm encode mydata --encoder minilm --out vectors.npy
    ```
    """
    from itemlm.encode.onnx_export import export_onnx

    description = export_onnx(model, out).description
    rows = [
        ("vectors", f"{description.width} numbers each, by {description.pooling} pooling"),
        ("texts", f"{description.max_tokens} tokens; the rest is cut off"),
        ("saved in", str(out)),
    ]
    show(facts(rows))


def vectors_of(dataset: Dataset, encoder: str) -> FloatArray:
    """[N, D] a vector for every item, by an encoder's name."""
    from itemlm.encode.by_name import vectors_of as named

    return named(dataset, encoder)
