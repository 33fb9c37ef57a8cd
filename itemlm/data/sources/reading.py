"""What the readers of public datasets share: finding files, and the `sequences.txt` form."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from itemlm.types import DataError


def need(folder: Path, *names: str) -> list[Path]:
    """The paths of files that a reader cannot do without.

    Raises:
        DataError: if one is missing, with what is there instead.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        present = sorted(path.name for path in folder.iterdir())[:8]
        raise DataError(
            f"{folder} lacks {', '.join(missing)}; it holds {', '.join(present) or 'nothing'}. "
            "Unpack the dataset's files straight into that folder."
        )
    return [folder / name for name in names]


def read_sequences(path: Path) -> pl.DataFrame:
    """Lines of `user item item ...`, oldest first, as one row per event.

    Returns:
        `user_id` and `item_id`, both int64, in the order of the file.
    """
    lines = pl.Series("line", path.read_text(encoding="ascii").splitlines(), dtype=pl.String)
    numbers = lines.str.split(" ")
    events = pl.DataFrame({"user_id": numbers.list.first(), "item_id": numbers.list.slice(1)})
    return events.explode("item_id").drop_nulls().cast(pl.Int64)
