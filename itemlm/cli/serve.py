"""`itemlm serve` and `itemlm keys`: a saved recommender as a service, and who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from itemlm.cli.console import say, show, table
from itemlm.cli.options import ColumnOption, ItemsOption, OptionalDataOption, UsersOption

if TYPE_CHECKING:
    from itemlm.serve.store.store import Store

HOME = Path("itemlm-service")
HomeOption = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where the service keeps its database.")
]
StoreOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A database elsewhere: postgresql://... or a file."),
]


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(help="Saved recommenders or runs; the first answers.", show_default=False),
    ],
    data: OptionalDataOption = None,
    items: ItemsOption = None,
    users: UsersOption = None,
    column: ColumnOption = None,
    home: HomeOption = HOME,
    store: StoreOption = None,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML: limits, scenarios, experiments."),
    ] = None,
    more_models: Annotated[
        Path | None,
        typer.Option(
            "--models", metavar="FOLDER", help="A folder in which new models appear by and by."
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Of item texts: lsa, or a folder of `itemlm export-encoder`.")
    ] = "lsa",
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="report.json of `itemlm compare`, for the page; found by itself beside runs.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8000,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Let anybody in who can reach the address.")
    ] = False,
) -> None:
    """Serve a saved recommender: an API under /v1, its documentation at /docs, a page at /.

    For example:

    ```
    itemlm fit itemknn --data demo --out runs/itemknn
    itemlm serve runs/itemknn --data demo
    ```
    """
    from itemlm.cli.inputs import open_data
    from itemlm.serve.running import check_listening, open_service, run
    from itemlm.serve.settings import ServiceSettings

    dataset = None if data is None else open_data(data, items, users, column)
    say("Loading and warming up ...")
    service = open_service(
        models,
        home=home,
        dataset=dataset,
        settings=None if settings is None else ServiceSettings.read(settings),
        store=store,
        more_models=more_models,
        encoder=encoder,
        report=report,
    )
    active = service.shelf.active
    at = f"http://{'localhost' if host == '127.0.0.1' else host}:{port}"
    try:
        check_listening(service, host, port, open_to_all=open_to_all)
        show(f"{escape(active.name)} answers for {len(active.catalog):,} items at {at}")
        run(service, host=host, port=port, open_to_all=open_to_all)
    except BaseException:
        service.stop()
        raise


keys = typer.Typer(no_args_is_help=True, help="API keys of a service: make, list, revoke.")


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write (events and items) or admin. Repeatable."),
    ] = None,
    home: HomeOption = HOME,
    store: StoreOption = None,
) -> None:
    """Make a key; it is shown once and can't be shown again.

    For example:

    ```
    itemlm keys add shop --scope read --scope write
    ```
    """
    from itemlm.serve.http.keys import hash_key, new_key
    from itemlm.serve.http.scopes import SCOPES
    from itemlm.types import UnknownName

    scopes = scope or ["read"]
    for wanted in scopes:
        if wanted not in SCOPES:
            raise UnknownName("scope", wanted, SCOPES)
    key = new_key()
    opened = _opened(home, store)
    opened.add_key(name, hash_key(key), scopes)
    opened.close()
    say(f"'{name}' may {', '.join(scopes)}. Keep the key; only its hash is stored.")
    print(key)


@keys.command(name="list")
def list_keys(home: HomeOption = HOME, store: StoreOption = None) -> None:
    """Names, scopes and dates of all keys.

    For example:

    ```
    itemlm keys list
    ```
    """
    from datetime import UTC, datetime

    opened = _opened(home, store)
    listed = table("name", "scopes", "made", "revoked")
    for key in opened.keys():  # noqa: SIM118 - a store is no dict
        days = [
            "" if at is None else datetime.fromtimestamp(at / 1e6, UTC).date().isoformat()
            for at in (key.created_at, key.revoked_at)
        ]
        listed.add_row(escape(key.name), ", ".join(key.scopes), *days)
    opened.close()
    show(listed)


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    home: HomeOption = HOME,
    store: StoreOption = None,
) -> None:
    """End a key; a running service refuses it within seconds.

    For example:

    ```
    itemlm keys revoke shop
    ```
    """
    from itemlm.types import ConfigError

    opened = _opened(home, store)
    was_valid = opened.revoke_key(name)
    opened.close()
    if not was_valid:
        raise ConfigError(f"there is no valid key '{name}'; see `itemlm keys list`.")
    say(f"The key '{name}' is revoked.")


def _opened(home: Path, store: str | None) -> Store:
    from itemlm.serve.running import DATABASE
    from itemlm.serve.store import open_store

    if store is None:
        home.mkdir(parents=True, exist_ok=True)
    return open_store(store or str(home / DATABASE))
