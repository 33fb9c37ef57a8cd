"""Settings: plain frozen dataclasses inside, checked where text comes in.

`from_mapping` turns JSON, TOML or `--set width=64` into a paper's Config. Unknown keys are refused
with the nearest valid name; values are coerced and checked by the field's type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
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
    valid = [field.name for field in fields(cast(Any, kind))]
    for name in values:
        if name not in valid:
            raise UnknownName("setting", name, valid)
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting '{where}' is {first['input']!r}: {first['msg']}.") from error


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Refuse settings that are too small.

    Raises:
        ConfigError: naming the first of them.
    """
    for name in names:
        if getattr(config, name) < least:
            raise ConfigError(f"{name} is {getattr(config, name)}, but must be at least {least}.")


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
