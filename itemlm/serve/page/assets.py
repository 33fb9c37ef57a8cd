"""Style sheets, scripts and pictures of the page: read once, served from memory.

A URL with the current version, as templates write it, may be kept by browsers for a year; when the
file changes, so does the version. Only names found in the folder at the start are served, so that
no path leads anywhere else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    kind: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """All files, by their path under `static/`."""
    found = {}
    for file in sorted(STATIC.rglob("*")):
        if file.suffix in KINDS:
            content = file.read_bytes()
            found[file.relative_to(STATIC).as_posix()] = Asset(
                content=content,
                kind=KINDS[file.suffix],
                version=hashlib.sha256(content).hexdigest()[:12],
            )
    return found


def asset_url(name: str) -> str:
    """Where a file is, with its version."""
    return f"/static/{name}?v={assets()[name].version}"


def asset_response(name: str, request: Request) -> Response:
    """A file; 304 where the browser has this very version, 404 where there is no such file."""
    asset = assets().get(name)
    if asset is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    tag = f'"{asset.version}"'
    current = request.query_params.get("v") == asset.version
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.kind, headers=headers)
