"""From a template and what it shows to a page; everything shown is escaped.

Titles, fields, ids and messages come from strangers. Templates escape them, data for scripts are
JSON in which `<`, `>` and `&` are written as escapes, and no template marks anything as safe.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from itemlm.serve.http.keys import COOKIE
from itemlm.serve.page import words
from itemlm.serve.page.assets import asset_url
from itemlm.serve.page.state import PageState

TEMPLATES = Path(__file__).parent / "templates"
PLACES_TO_GO = [
    ("/", "Explore"),
    ("/map", "Map"),
    ("/tree", "Tree"),
    ("/models", "Models"),
    ("/health", "Health"),
]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=words.count,
        duration=words.duration,
        milliseconds=words.milliseconds,
        monogram=words.monogram,
        plural=words.plural,
        sentence=words.sentence,
        short=words.short,
        source_words=words.source_in_words,
        words=words.value_in_words,
    )
    environment.globals.update(asset=asset_url, places_to_go=PLACES_TO_GO)
    return environment


def rendered(
    template: str,
    request: Request,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **shown: Any,
) -> HTMLResponse:
    """A page.

    Args:
        template: its file in `templates/`.
        request: what asks; its query is the page's state, unless `shown` has another.
        shown: what the template reads.
    """
    shown.setdefault("state", PageState.of(request.query_params))
    text = (
        _environment()
        .get_template(template)
        .render(here=request.url.path, signed_in=COOKIE in request.cookies, **shown)
    )
    return HTMLResponse(text, status_code=status, headers=headers)
