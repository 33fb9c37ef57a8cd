"""The `itemlm` command: everything that the package does, from a terminal.

One module per command or group of commands. They import typer and rich only, and the rest inside
their functions, so that help and completion answer at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from itemlm.cli import (
    ab,
    data,
    demo,
    doctor,
    encode,
    evaluate,
    fit,
    papers,
    recommend,
    serve,
    steer,
    tokenize,
)
from itemlm.cli.root import Root

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from itemlm import __version__

        print(f"itemlm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback for every error.")
    ] = False,
) -> None:
    """Item language models: from a catalog and an event log to honest recommendations.

    See it work, then give it data of yours:

    ```
    itemlm demo
    itemlm data prepare events.csv --items items.csv --out mydata
    itemlm compare popularity itemknn sasrec --data mydata
    ```
    """


app.command(rich_help_panel="Start here")(demo.demo)
app.command(rich_help_panel="Start here")(papers.papers)
app.command(rich_help_panel="Start here")(doctor.doctor)
app.add_typer(data.app, name="data", rich_help_panel="Your data")
app.command(rich_help_panel="Your data")(encode.encode)
app.command(rich_help_panel="Your data")(encode.export_encoder)
app.add_typer(tokenize.app, name="tokenize", rich_help_panel="Your data")
app.command(rich_help_panel="Models")(fit.fit)
app.command(rich_help_panel="Models")(evaluate.compare)
app.command(rich_help_panel="Models")(evaluate.evaluate)
app.command(rich_help_panel="Models")(recommend.recommend)
app.command(rich_help_panel="Models")(steer.steer)
app.command(rich_help_panel="Service")(serve.serve)
app.add_typer(serve.keys, name="keys", rich_help_panel="Service")
app.command(rich_help_panel="Service")(ab.ab)


def main() -> None:
    """The entry point of the `itemlm` command."""
    app(prog_name="itemlm")
