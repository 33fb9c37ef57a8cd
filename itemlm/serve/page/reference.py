"""The reference of the API as a page: made from the OpenAPI document, without a script.

The usual viewers of OpenAPI documents load a megabyte of scripts from another host, or have it
shipped with the package. What people look for is on one page: what to send, an example to copy,
what can go wrong.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from itemlm.serve.page.render import rendered

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Field:
    """A field of a body, or a parameter.

    Attributes:
        name: as it is written.
        kind: what it holds, in words.
        needed: whether it must be there.
        meaning: a sentence, or "".
    """

    name: str
    kind: str
    needed: bool
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Something that can be asked for."""

    method: str
    path: str
    summary: str
    parameters: list[Field] = field(default_factory=list)
    body: list[Field] = field(default_factory=list)
    answer: list[Field] = field(default_factory=list)
    curl: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        letters = (letter if letter.isalnum() else "-" for letter in self.path.lower())
        return f"{self.method.lower()}{''.join(letters)}".rstrip("-")


def reference_router(app: FastAPI) -> APIRouter:
    """The page `/docs` about an application."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        address = str(request.base_url).rstrip("/")
        groups: dict[str, list[Operation]] = {}
        for tag, operation in operations(app.openapi(), address):
            groups.setdefault(tag, []).append(operation)
        return rendered("reference.html", request, groups=groups, address=address)

    return router


def operations(document: Mapping[str, Any], address: str) -> Iterator[tuple[str, Operation]]:
    """The operations of an OpenAPI document with the group of each, in its order."""
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    look_up = partial(_resolved, schemas)
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method not in methods:
                continue
            row = methods[method]
            body = _json_schema(row.get("requestBody", {}))
            answers = row["responses"]
            operation = Operation(
                method=method.upper(),
                path=path,
                summary=row.get("description", ""),
                parameters=[
                    Field(
                        given["name"],
                        _kind(given["schema"], look_up),
                        given.get("required", False),
                        given.get("description", ""),
                    )
                    for given in row.get("parameters", [])
                ],
                body=_fields(body, look_up),
                answer=_fields(_json_schema(answers.get("200", {})), look_up),
                curl=_curl(method.upper(), path, address, row, _example(body, look_up)),
                problems=[
                    (status, answer["description"])
                    for status, answer in answers.items()
                    if status >= "4" and "ProblemAnswer" in json.dumps(answer)
                ],
            )
            yield row.get("tags", ["other"])[0], operation


def _json_schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (
        holder.get("content", {}).get("application/json", {}).get("schema", {})
    )
    return found


def _resolved(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def _choices(schema: Mapping[str, Any], look_up: Any) -> list[Mapping[str, Any]]:
    """The schemas that a value may have, null left out."""
    schema = look_up(schema)
    parts = schema.get("anyOf", schema.get("oneOf"))
    if parts is None:
        return [schema]
    return [
        choice
        for part in parts
        for choice in _choices(part, look_up)
        if choice.get("type") != "null"
    ]


def _fields(schema: Mapping[str, Any], look_up: Any) -> list[Field]:
    if not schema:
        return []
    found: dict[str, Field] = {}
    for choice in _choices(schema, look_up):
        needed = choice.get("required", [])
        for name, part in choice.get("properties", {}).items():
            meaning = part.get("description", "")
            found.setdefault(name, Field(name, _kind(part, look_up), name in needed, meaning))
    return list(found.values())


def _kind(schema: Mapping[str, Any], look_up: Any) -> str:
    """What a value is, in words."""
    kinds = list(dict.fromkeys(_one_kind(choice, look_up) for choice in _choices(schema, look_up)))
    return " or ".join(kinds)


def _one_kind(schema: Mapping[str, Any], look_up: Any) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), look_up)}"
    if schema.get("format") == "date-time":
        return "time"
    if kind == "object" and "properties" in schema:
        return f"{{{', '.join(schema['properties'])}}}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"names with {_kind(inner, look_up)}" if isinstance(inner, dict) else "any fields"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return str(words.get(kind, kind)) + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if highest is not None and highest < 2**53 and lowest is not None:
        return f" from {lowest:g} to {highest:g}"
    return ""


def _example(schema: Mapping[str, Any], look_up: Any) -> Any:
    """The first example of a body, made of those of its fields where it has none itself."""
    if not schema:
        return None
    for choice in _choices(schema, look_up):
        if choice.get("examples"):
            return choice["examples"][0]
        made = {
            name: value
            for name, part in choice.get("properties", {}).items()
            if (value := _example_of_field(part, look_up)) is not None
            and (name in choice.get("required", []) or "examples" in part)
        }
        if made:
            return made
    return None


def _example_of_field(schema: Mapping[str, Any], look_up: Any) -> Any:
    for choice in (schema, *_choices(schema, look_up)):
        if choice.get("examples"):
            return choice["examples"][0]
        if choice.get("type") == "array":
            inner = _example(choice["items"], look_up)
            return [inner] if inner is not None else ["heat-1995", "the-godfather-1972"]
    return "heat-1995"


def _curl(method: str, path: str, address: str, row: Mapping[str, Any], body: Any) -> str:
    """The operation as a line for a terminal."""
    for given in row.get("parameters", []):
        if given["in"] == "path":
            examples = given["schema"].get("examples") or given.get("examples") or ["NAME"]
            path = path.replace(f"{{{given['name']}}}", str(examples[0]))
    parts = ["curl"]
    if method != "GET":
        parts += ["-X", method]
    parts.append(f"{address}{path}")
    if body is not None:
        parts += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(parts)
