"""run.json: what a folder holds, so that nothing else is mixed into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itemlm.data.folder import write_text
from itemlm.types import ConfigError


def record_run(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what is being fitted to which data; a folder begun as something else is refused.

    Raises:
        ConfigError: naming the facts that differ.
    """
    path = folder / "run.json"
    if not path.exists():
        write_text(path, json.dumps(facts, indent=1))
        return
    before = _flat(json.loads(path.read_text(encoding="utf-8")))
    after = _flat(json.loads(json.dumps(facts)))
    changed = [
        f"{name} was {before.get(name)!r}, is now {after.get(name)!r}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and not name.startswith("versions")
    ]
    if changed:
        raise ConfigError(
            f"the run folder {folder} was begun with other settings: {'; '.join(changed)}. "
            "Choose another folder, or delete this one."
        )


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with the settings inside them on the same level, as `config.width`."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        inside = value if isinstance(value, Mapping) else {}
        flat |= {f"{name}.{key}": part for key, part in inside.items()} or {name: value}
    return flat
