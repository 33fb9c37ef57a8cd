"""`itemlm tokenize`: make Semantic IDs, measure and compare them, and look at what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itemlm.cli import tokens_lifecycle
from itemlm.cli.console import say, show, show_json, table, warn
from itemlm.cli.encode import vectors_of
from itemlm.cli.inputs import check_same_items, open_data, titles
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
    from itemlm.data.dataset import Dataset
    from itemlm.tokenize.quality import Quality
    from itemlm.tokenize.tokens import ItemTokens
    from itemlm.types import FloatArray

app = typer.Typer(
    no_args_is_help=True, help="Semantic IDs: turn every item into a few codes, and judge them."
)

FolderArgument = Annotated[
    Path, typer.Argument(help="Made by `itemlm tokenize fit`, or the run of a paper with tokens.")
]


LevelsOption = Annotated[
    int,
    typer.Option(
        "--levels", min=1, help="Codes with meaning, where a tokenizer can choose how many."
    ),
]
CodesOption = Annotated[
    int, typer.Option("--codes", min=1, help="Different codes of a level, likewise.")
]
CategoriesOption = Annotated[
    str | None,
    typer.Option(
        "--categories",
        metavar="COLUMN",
        help="The catalog's column of category paths; found by its name if left out.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


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
            help="residual_kmeans, random, collaborative+independent... `itemlm tokenize compare` "
            "shows them all.",
            autocompletion=_tokenizers,
        ),
    ] = "residual_kmeans",
    levels: LevelsOption = 3,
    codes: CodesOption = 256,
    categories: CategoriesOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Give every item a Semantic ID, from its text or from what is taken together; measure the IDs.

    All events of DATA are used. A paper makes its tokens from the training part by itself.

    For example:

    ```
    itemlm tokenize fit demo --codes 64 --out tokens
    itemlm tokenize fit demo --codes 64 --tokenizer collaborative+independent --out clusters
    ```
    """
    from itemlm.tokenize.by_name import Material, check_tokenizer, item_tokens
    from itemlm.tokenize.quality import quality

    check_tokenizer(tokenizer)
    dataset = open_data(data, items, users, column)
    vectors_ND = _vectors(dataset, encoder)
    material = Material(
        dataset=dataset,
        vectors=lambda: vectors_of(dataset, encoder) if vectors_ND is None else vectors_ND,
        levels=levels,
        codes=codes,
        seed=seed,
        categories=categories,
    )
    tokens = item_tokens(tokenizer, material)
    tokens.save(out, dataset.items.ids.to_list())
    found = quality(
        tokens,
        vectors_ND,
        histories=dataset.sequences,
        categories=_category_names(dataset, categories),
    )
    _show_quality(found, json)
    say(f"Saved in {out}. Look at them: itemlm tokenize browse {out} --data {data}")


@app.command()
def report(
    folder: FolderArgument,
    data: OptionalDataOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    categories: CategoriesOption = None,
    json: JsonOption = False,
) -> None:
    """Measure saved Semantic IDs; with --data also whether items that are near share codes.

    Near are items with close texts, items that are taken together, and items of one category.

    For example:

    ```
    itemlm tokenize report tokens --data demo
    ```
    """
    from itemlm.tokenize.quality import quality

    if data is None:
        found = quality(_tokens(folder))
    else:
        dataset = open_data(data, items, users, column)
        found = quality(
            _tokens(folder, dataset),
            _vectors(dataset, encoder),
            histories=dataset.sequences,
            categories=_category_names(dataset, categories),
        )
    _show_quality(found, json)


@app.command()
def compare(
    data: DataArgument,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer",
            metavar="NAME",
            help="One to compare; all if left out. Repeatable.",
            autocompletion=_tokenizers,
        ),
    ] = None,
    levels: LevelsOption = 3,
    codes: CodesOption = 256,
    categories: CategoriesOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Fit tokenizers to the training part of the same data, and show what their codes are worth.

    The last event of every user is kept out, and the one before it is asked about: do the codes of
    an item lead to the item that was taken next?

    For example:

    ```
    itemlm tokenize compare demo --codes 64
    itemlm tokenize compare demo --codes 64 --tokenizer random --tokenizer semantic --json
    ```
    """
    import time

    from itemlm.data.splits import LeaveOneOut
    from itemlm.tokenize.by_name import NAMES, Material, check_tokenizer, item_tokens
    from itemlm.tokenize.quality import quality
    from itemlm.types import ItemlmError

    names = tokenizer or NAMES
    for name in names:
        check_tokenizer(name)
    split = open_data(data, items, users, column).split(LeaveOneOut())
    train = split.train
    vectors_ND = _vectors(train, encoder)
    paths = _category_names(train, categories)
    material = Material(
        dataset=train,
        vectors=lambda: vectors_of(train, encoder) if vectors_ND is None else vectors_ND,
        levels=levels,
        codes=codes,
        seed=seed,
        categories=categories,
    )
    found: dict[str, Quality] = {}
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name in names:
        say(f"fitting {name}")
        began = time.perf_counter()
        try:
            tokens = item_tokens(name, material)
        except ItemlmError as error:
            failed[name] = str(error)
            continue
        seconds[name] = time.perf_counter() - began
        found[name] = quality(
            tokens,
            vectors_ND,
            histories=train.sequences,
            questions=split.validation,
            categories=paths,
        )
    if json:
        measured = {n: {**q.to_dict(), "seconds": seconds[n]} for n, q in found.items()}
        show_json({**measured, **{name: {"failed": why} for name, why in failed.items()}})
        return
    _show_comparison(found, seconds)
    for name, why in failed.items():
        warn(f"{name}: {why}")


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
    dataset = open_data(data, items, users, column)
    names = titles(dataset.catalog, np.arange(len(dataset.catalog)))
    show(tree(_tokens(folder, dataset), names, codes, depth=depth, limit=limit))


def _tokens(folder: Path, dataset: Dataset | None = None) -> ItemTokens:
    """Saved tokens, or those that a run made as one of its stages.

    Raises:
        DataError: if they say whose they are, and these are not the items of the dataset.
    """
    from itemlm.tokenize.published import Published
    from itemlm.tokenize.tokens import ITEMS, ItemTokens

    of_run = folder / "stages" / "tokens"
    if dataset is not None and (folder / ITEMS).exists():
        published = Published.load(folder)
        check_same_items(published.items, dataset)
        return published.tokens
    return ItemTokens.load(of_run if of_run.is_dir() else folder)


def _vectors(dataset: Dataset, encoder: str) -> FloatArray | None:
    """Vectors of the items' texts; None, and a word about it, where the catalog has no text."""
    from itemlm.types import DataError

    try:
        return vectors_of(dataset, encoder)
    except DataError as error:
        if encoder != "lsa":  # which somebody asked for
            raise
        say(f"No text is compared: {error}")
        return None


def _category_names(dataset: Dataset, column: str | None) -> list[tuple[str, ...]] | None:
    """The path of every item; None where nobody names a column and none has a usual name."""
    from itemlm.tokenize.categories import category_names
    from itemlm.types import DataError

    try:
        return category_names(dataset.catalog, column)
    except DataError:
        if column is not None:
            raise
        return None


def _show_quality(found: Quality, json: bool) -> None:
    if json:
        show_json(found.to_dict())
    else:
        show(found)


COMPARED = "codes", "in use", "siblings", "near in text", "together", "next", "purity", "seconds"


def _show_comparison(found: dict[str, Quality], seconds: dict[str, float]) -> None:
    made = table("tokenizer", "per level", *COMPARED, numbers=COMPARED)
    made.columns[0].no_wrap = True
    for name, of in found.items():
        sizes = f"{len(of.levels)} x {of.levels[0]:,}" if len(set(of.levels)) == 1 else ""
        near = [of.halvings.get(kind) for kind in ("agreement", "company", "following")]
        made.add_row(
            name,
            sizes or " ".join(map(str, of.levels)),
            f"{of.length:.1f}",
            f"{of.used:.0%}",
            f"{of.sharing:.1%}",
            *("" if value is None else f"{value:.2f}" for value in near),
            f"{of.top_purity[0]:.0%}" if of.top_purity else "",
            f"{seconds[name]:.1f}",
        )
    show(made)
    first = next(iter(found.values()), None)
    if first is None:
        return
    chance = (
        "" if first.chance_top_purity is None else f" ({first.chance_top_purity:.0%} by chance)"
    )
    show(
        "codes: of an item, on average. siblings: items that share all codes but the last of their "
        "path. near in text, together, next: how often the codes that an item shares with its "
        "nearest texts, with what is taken together with it and with what was taken next (held "
        "out) halve the catalog. purity: items with the same first code that are of the same top "
        f"category{chance}."
    )


tokens_lifecycle.register(app)
