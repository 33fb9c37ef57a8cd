"""The reference of the API: every operation is on the page, with an example that works."""

import json
import shlex
from typing import Annotated

import pytest

fastapi = pytest.importorskip("fastapi")

from pydantic import BaseModel, Field

from itemlm.serve.page.reference import operations
from itemlm.serve.routes import asking, health, keeping


class Inner(BaseModel):
    when: str
    by: float


class Body(BaseModel):
    name: str = Field(description="Whose it is.", examples=["ann"])
    size: Annotated[float, Field(ge=0, le=1)] | int | None = None
    parts: list[Inner] = []
    most: dict[str, int] = {}


@pytest.fixture(scope="module")
def document():
    app = fastapi.FastAPI()

    @app.post("/things/{thing}", tags=["things"])
    async def put(thing: str, body: Body) -> Body:
        """Keep a thing."""
        return body

    return app.openapi()


def test_an_operation_is_told_in_words(document):
    [(tag, operation)] = operations(document, "http://here")
    assert (tag, operation.method, operation.path) == ("things", "POST", "/things/{thing}")
    assert operation.summary == "Keep a thing."
    assert [(row.name, row.kind, row.needed) for row in operation.body] == [
        ("name", "text", True),
        ("size", "number from 0 to 1 or whole number", False),
        ("parts", "list of {when, by}", False),
        ("most", "names with whole number", False),
    ]
    assert operation.body[0].meaning == "Whose it is."
    assert [row.name for row in operation.answer] == ["name", "size", "parts", "most"]


def test_the_example_can_be_pasted_into_a_shell(document):
    [(_, operation)] = operations(document, "http://here")
    words = shlex.split(operation.curl)
    assert words[:4] == ["curl", "-X", "POST", "http://here/things/NAME"]
    assert json.loads(words[-1]) == {"name": "ann"}


def test_anchors_tell_operations_apart():
    app = fastapi.FastAPI()
    for part in (asking, keeping, health):
        app.include_router(part.router)
    anchors = [operation.anchor for _, operation in operations(app.openapi(), "")]
    assert len(anchors) == len(set(anchors)) > 15
