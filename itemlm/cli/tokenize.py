"""`itemlm tokenize`: make Semantic IDs, measure them, and look at what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli.console import say, show, show_json
from itemlm.cli.encode import vectors_of
from itemlm.cli.inputs import open_data, titles
from itemlm.cli.options import (
    ColumnOption,
    DataArgument,
    DataOption,
    EncoderOption,
    ItemsOption,
    JsonOption,
    OptionalDataOption,
    UsersOption,
)

if TYPE_CHECKING:
    from itemlm.tokenize.quality import Quality
    from itemlm.tokenize.tokens import ItemTokens

app = typer.Typer(
    no_args_is_help=True, help="Semantic IDs: turn every item into a few codes, and judge them."
)

FolderArgument = Annotated[
    Path, typer.Argument(help="Made by `itemlm tokenize fit`, or the run of a paper with tokens.")
]


def _tokenizers(incomplete: str) -> list[str]:
    from itemlm.tokenize.by_name import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


@app.command()
def fit(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The folder to write.", metavar="FOLDER")],
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    tokenizer: Annotated[
        str,
        typer.Option(
            help="residual_kmeans, rqvae (needs PyTorch) or random (codes without meaning).",
            autocompletion=_tokenizers,
        ),
    ] = "residual_kmeans",
    levels: Annotated[
        int, typer.Option(min=1, help="Codes with meaning; one more keeps items apart.")
    ] = 3,
    codes: Annotated[int, typer.Option(min=1, help="Different codes of each level.")] = 256,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    json: JsonOption = False,
) -> None:
    """Give every item a Semantic ID made from its text, and measure the IDs.

    For example:

    ```
    itemlm tokenize fit demo --codes 64 --out tokens
    ```
    """
    from itemlm.tokenize.by_name import Material, item_tokens
    from itemlm.tokenize.quality import quality

    dataset = open_data(data, items, users, column)
    vectors_ND = vectors_of(dataset, encoder)
    material = Material(
        dataset=dataset, vectors=lambda: vectors_ND, levels=levels, codes=codes, seed=seed
    )
    tokens = item_tokens(tokenizer, material)
    tokens.save(out)
    _show_quality(quality(tokens, vectors_ND), json)
    say(f"Saved in {out}. Look at them: itemlm tokenize browse {out} --data {data}")


@app.command()
def report(
    folder: FolderArgument,
    data: OptionalDataOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    json: JsonOption = False,
) -> None:
    """Measure saved Semantic IDs; with --data also whether items with close texts share codes.

    For example:

    ```
    itemlm tokenize report tokens --data demo
    ```
    """
    from itemlm.tokenize.quality import quality

    vectors_ND = None
    if data is not None:
        vectors_ND = vectors_of(open_data(data, items, users, column), encoder)
    _show_quality(quality(_tokens(folder), vectors_ND), json)


@app.command()
def browse(
    folder: FolderArgument,
    data: DataOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    prefix: Annotated[
        str, typer.Option(help="Start below these codes.", metavar="CODE,CODE...")
    ] = "",
    depth: Annotated[int, typer.Option(min=0, help="Levels of codes to open.")] = 2,
    limit: Annotated[int, typer.Option(min=1, help="Most codes or titles under each code.")] = 5,
) -> None:
    """Show the tree of codes with the titles of the items below them.

    For example:

    ```
    itemlm tokenize browse tokens --data demo
    itemlm tokenize browse tokens --data demo --prefix 12,7
    ```
    """
    import numpy as np

    from itemlm.tokenize.browse import browse as tree

    try:
        codes = [int(code) for code in prefix.split(",") if code.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"--prefix is '{prefix}', but is written like 12,7.") from error
    tokens = _tokens(folder)
    catalog = open_data(data, items, users, column).catalog
    names = titles(catalog, np.arange(len(catalog)))
    show(tree(tokens, names, codes, depth=depth, limit=limit))


def _tokens(folder: Path) -> ItemTokens:
    """Saved tokens, or those that a run made as one of its stages."""
    from itemlm.tokenize.tokens import ItemTokens

    of_run = folder / "stages" / "tokens"
    return ItemTokens.load(of_run if of_run.is_dir() else folder)


def _show_quality(found: Quality, json: bool) -> None:
    if json:
        show_json(found.to_dict())
    else:
        show(found)
