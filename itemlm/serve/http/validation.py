"""Sentences for requests that do not fit their schema.

Names the field, what was received (shortened and cleaned, never the whole body) and, for a key
that does not exist, the nearest one that does.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

SHOWN = 80  # characters of a received value
FIELD_LENGTH = 120
SHOULD = re.compile(r"^[A-Z][a-z]+ should ")
OBJECT = "must be a JSON object"
# pydantic's own words for these speak of Python.
WORDS = {"model_attributes_type": OBJECT, "model_type": OBJECT, "dict_type": OBJECT}


def clean(text: str, length: int) -> str:
    """One line of text without control characters and halves of characters, cut to a length."""
    head = text[:length].encode("utf-8", "replace").decode("utf-8")
    kept = "".join(" " if letter in "\t\n\r" else letter for letter in head)
    kept = "".join(letter for letter in kept if letter.isprintable())
    return kept if len(text) <= length else kept[: length - 1] + "…"


def shown(value: object) -> str:
    """A received value in at most `SHOWN` characters."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} {'key' if len(value) == 1 else 'keys'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"'{clean(value, SHOWN - 2)}'"
    if value is None or isinstance(value, bool | int | float):
        return clean(json.dumps(value), SHOWN)
    return f"a value of type {type(value).__name__}"


def sentence(
    problems: Sequence[Mapping[str, Any]], body: object, dependant: object
) -> tuple[str, str | None]:
    """Say what is wrong with a request.

    Args:
        problems: pydantic's errors, at least one.
        body: the request's body after reading its JSON.
        dependant: FastAPI's description of the route's parameters.

    Returns:
        the sentence, and the field that it is about.
    """
    # A misspelled key is also a missing one; what was written is the better news.
    first = next((row for row in problems if row["type"] == "extra_forbidden"), problems[0])
    steps = _steps(first, body)
    field = clean(".".join(map(str, steps)), FIELD_LENGTH) or None
    name = f"'{field}'" if field else "The body"
    if first["type"] == "extra_forbidden":
        message = _unknown_key(steps, dependant)
    elif first["type"] == "missing":
        message = f"{name} is missing."
    else:
        alike = [row for row in problems if _steps(row, body) == steps]
        said = " or ".join(dict.fromkeys(map(_words, alike)))
        verb = said if said.startswith("must ") else f"is not valid: {said}"
        message = f"{name} {verb}; received {shown(first['input'])}."
    others = len({_steps(row, body) for row in problems} - {steps})
    if others:
        message += f" There {'is' if others == 1 else 'are'} {others} more such."
    return message, field


def _words(problem: Mapping[str, Any]) -> str:
    """What pydantic says, as the end of a sentence about the field."""
    message: str = WORDS.get(problem["type"], problem["msg"])
    return SHOULD.sub("must ", message.removeprefix("Value error, "))


def _steps(problem: Mapping[str, Any], body: object) -> tuple[str | int, ...]:
    """The way to the field, without the names that pydantic gives to the branches of a union."""
    where, *location = problem["loc"]
    if where != "body":
        return tuple(location[:1])
    steps: list[str | int] = []
    value = body
    for step in location:
        inside = step in value if isinstance(value, Mapping) else _is_place(step, value)
        if not inside:  # the name of a branch, or what should be there
            if problem["type"] == "missing" and step == location[-1]:
                steps.append(step)
            continue
        steps.append(step)
        value = value[step]  # type: ignore[index]
    return tuple(steps)


def _is_place(step: object, value: object) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _unknown_key(steps: Sequence[str | int], dependant: object) -> str:
    *parents, key = steps or ("",)
    fields = [
        field.field_info.annotation
        for kind in ("body_params", "query_params")
        for field in getattr(dependant, kind, ())
    ]
    valid = sorted({name for field in fields for name in _keys_at(field, parents)})
    near = difflib.get_close_matches(str(key)[:FIELD_LENGTH], valid, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listed = f" Valid: {', '.join(valid)}." if valid else ""
    return f"There is no field '{clean(str(key), SHOWN)}' here.{hint}{listed}"


def _keys_at(annotation: Any, steps: Sequence[str | int]) -> list[str]:
    """The keys that an object may have at the end of a way through a type."""
    models = _models_in(annotation)
    while steps and isinstance(steps[0], int):
        steps = steps[1:]
    if not steps:
        return [name for model in models for name in model.model_fields]
    found = (model.model_fields.get(str(steps[0])) for model in models)
    inner = [field.annotation for field in found if field is not None]
    return [name for field in inner for name in _keys_at(field, steps[1:])]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models inside a type such as `list[Annotated[Event, ...]] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
