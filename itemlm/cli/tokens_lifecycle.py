"""`itemlm tokenize append | refit | drift`: Semantic IDs of a catalog that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itemlm.cli.console import say, show, show_json
from itemlm.cli.encode import vectors_of
from itemlm.cli.inputs import check_same_items, open_data
from itemlm.cli.options import (
    ColumnOption,
    DataOption,
    EncoderOption,
    ItemsOption,
    JsonOption,
    OptionalDataOption,
    UsersOption,
)

OldArgument = Annotated[
    Path, typer.Argument(metavar="TOKENS", help="As published: made by `itemlm tokenize fit`.")
]
OutOption = Annotated[Path, typer.Option("--out", help="The folder to write.", metavar="FOLDER")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]


def append(
    tokens: OldArgument,
    data: DataOption,
    out: OutOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    seed: SeedOption = 0,
) -> None:
    """Give new items Semantic IDs beside the published ones, which stay as they are.

    The encoder must be the one that the published IDs were fitted with, and one that does not fit
    itself to the catalog, as lsa does.

    For example:

    ```
    itemlm tokenize append tokens --data mydata --encoder vectors.npy --out tokens-2
    ```
    """
    from itemlm.tokenize.published import Published
    from itemlm.types import ConfigError

    if "lsa" in encoder.split("+"):
        raise ConfigError(
            "lsa fits itself anew to every catalog, so new vectors of it cannot be compared with "
            "those that the IDs were fitted with. Give --encoder a sentence encoder or a .npy file "
            "that does not change for known items, or use `itemlm tokenize refit`."
        )
    old = Published.load(tokens)
    dataset = open_data(data, items, users, column)
    new = old.grown(dataset.items, vectors_of(dataset, encoder), seed)
    new.save(out)
    added = int((old.rows(dataset.items) < 0).sum())
    show(f"{added:,} items got new Semantic IDs, {len(new.items) - added:,} kept theirs.")
    say(f"Saved in {out}. What it did to the codes: itemlm tokenize drift {tokens} {out}")


def refit(
    tokens: OldArgument,
    data: DataOption,
    out: OutOption,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    tokenizer: Annotated[
        str, typer.Option(help="One that has codebooks: residual_kmeans, balanced_kmeans, rqvae...")
    ] = "residual_kmeans",
    changes: Annotated[
        Path | None,
        typer.Option("--map", help="Write old and new ID of every item.", metavar="FILE.csv"),
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Fit Semantic IDs anew, named such that as few as can be differ from the published ones.

    As many levels and codes as before. What was trained on the old IDs must be trained again where
    items changed theirs.

    For example:

    ```
    itemlm tokenize refit tokens --data demo --out tokens-2 --map changes.csv
    ```
    """
    from itemlm.data.folder import write_text
    from itemlm.tokenize.by_name import Material, item_tokens
    from itemlm.tokenize.migration import migrated, migration_map
    from itemlm.tokenize.published import Published
    from itemlm.types import ConfigError

    if changes is not None and changes.is_dir():
        raise ConfigError(f"--map is {changes}, which is a folder; name a file.")
    old = Published.load(tokens)
    if len(old.tokens.levels) < 2:
        raise ConfigError(f"the IDs in {tokens} have no level with a meaning to fit anew.")
    dataset = open_data(data, items, users, column)
    semantic = old.tokens.levels[:-1]
    material = Material(
        dataset=dataset,
        vectors=lambda: vectors_of(dataset, encoder),
        levels=len(semantic),
        codes=max(semantic),
        seed=seed,
    )
    fresh = Published(item_tokens(tokenizer, material), dataset.items)
    new, found = migrated(old, fresh, seed)
    new.save(out)
    if changes is not None:
        write_text(changes, migration_map(old, new).write_csv())
    if json:
        show_json(found.to_dict())
    else:
        show(found)
    say(f"Saved in {out}.")


def drift(
    before: Annotated[Path, typer.Argument(help="Made by `itemlm tokenize fit`.")],
    after: Annotated[Path, typer.Argument(help="Made from it by append or refit.")],
    data: OptionalDataOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    encoder: EncoderOption = "lsa",
    json: JsonOption = False,
) -> None:
    """Compare two versions of Semantic IDs: items, use of codes, collisions, room for more.

    With --data, the catalog of the second version, also how well the codes fit new items.

    For example:

    ```
    itemlm tokenize drift tokens tokens-2
    ```
    """
    from itemlm.tokenize.drift import drift as compared
    from itemlm.tokenize.published import Published

    old, new = Published.load(before), Published.load(after)
    vectors_ND = None
    if data is not None:
        dataset = open_data(data, items, users, column)
        check_same_items(new.items, dataset)
        vectors_ND = vectors_of(dataset, encoder)
    found = compared(old, new, vectors_ND)
    if json:
        show_json(found.to_dict())
    else:
        show(found)


def register(app: typer.Typer) -> None:
    """Add the commands to `itemlm tokenize`."""
    for command in (append, refit, drift):
        app.command()(command)
