"""Settings: plain frozen dataclasses inside, checked where text comes in.

`from_mapping` turns JSON, TOML or `--set width=64` into a paper's Config. Unknown keys are refused
with the nearest valid name; values are coerced and checked by the field's type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import inf
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from itemlm.types import ConfigError, UnknownName

C = TypeVar("C")


def from_mapping(kind: type[C], values: Mapping[str, Any]) -> C:
    """A Config from a mapping of names to values.

    Raises:
        UnknownName: if a key is not a setting.
        ConfigError: if a value does not fit its setting.
    """
    types = {field.name: str(field.type) for field in fields(cast(Any, kind))}
    for name in values:
        if name not in types:
            raise UnknownName("setting", name, list(types))
    given = {
        name: _listed(value) if types[name].startswith("tuple") else value
        for name, value in values.items()
    }
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting '{where}' is {first['input']!r}: {first['msg']}.") from error


def _listed(value: Any) -> Any:
    """What a text such as "512,256" or "(512, 256)" lists; other values as they are."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.strip("()[] ").split(",") if part.strip())


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Refuse settings that are too small.

    Raises:
        ConfigError: naming the first of them.
    """
    for name in names:
        if not getattr(config, name) >= least:  # which also refuses nan
            raise ConfigError(f"{name} is {getattr(config, name)}, but must be at least {least}.")


def check_positive(config: Any, *names: str) -> None:
    """Refuse settings that are not finite numbers above 0.

    Raises:
        ConfigError: naming the first of them.
    """
    for name in names:
        if not 0 < getattr(config, name) < inf:
            raise ConfigError(f"{name} is {getattr(config, name)}, but must be above 0 and finite.")


def check_between(config: Any, least: float, most: float, *names: str) -> None:
    """Refuse settings outside a range, whose ends are allowed.

    Raises:
        ConfigError: naming the first of them.
    """
    for name in names:
        if not least <= getattr(config, name) <= most:
            raise ConfigError(
                f"{name} is {getattr(config, name)}, but must be from {least} to {most}."
            )


def check_share(config: Any, *names: str) -> None:
    """Refuse settings that are not from 0 to below 1.

    Raises:
        ConfigError: naming the first of them.
    """
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(
                f"{name} is {getattr(config, name)}, but is a share: from 0 to below 1."
            )


def parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    """`["width=64", "epochs=5"]` as a mapping.

    Raises:
        ConfigError: if a pair has no `=`.
    """
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"'{pair}' is not a setting; write it as name=value.")
        settings[name.strip()] = value.strip()
    return settings
