"""`itemlm papers`: which systems can be fitted, what they do and how they can be set."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from itemlm.cli.console import show, show_json, table
from itemlm.cli.options import JsonOption, paper_names


def papers(
    name: Annotated[
        str | None,
        typer.Argument(help="Tell more about this paper.", autocompletion=paper_names),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the papers that can be fitted, or show one with its settings.

    For example:

    ```
    itemlm papers
    itemlm papers sasrec
    ```
    """
    if name is None:
        _list(json)
    else:
        _show(name, json)


def _list(json: bool) -> None:
    from itemlm import papers
    from itemlm.cli.paper_source import read

    sources = [read(name) for name in papers.names()]
    if json:
        show_json(
            [
                {"name": s.name, "idea": s.idea, "needs_torch": s.needs_torch, "page": s.page}
                for s in sources
            ]
        )
        return
    listed = table("paper", "idea", "PyTorch", "page")
    for source in sources:
        torch = "needed" if source.needs_torch else ""
        listed.add_row(source.name, escape(source.idea), torch, source.page or "")
    show(listed)


def _show(name: str, json: bool) -> None:
    from itemlm.cli.paper_source import read

    source = read(name)
    if json:
        show_json({**asdict(source), "idea": source.idea, "page": source.page})
        return
    show(escape(source.text))
    has_published = any(setting.published for setting in source.settings)
    headings = ["setting", "default", *(["published"] if has_published else []), "meaning"]
    listed = table(*headings)
    for setting in source.settings:
        published = [setting.published or ""] if has_published else []
        cells = [setting.name, setting.default, *published, setting.meaning or setting.kind]
        listed.add_row(*map(escape, cells))
    show(listed)
    example = next(iter(source.settings), None)
    change = f" --set {example.name}={example.default.strip(chr(34) + chr(39))}" if example else ""
    show(f"itemlm fit {name} --data demo{escape(change)}")
