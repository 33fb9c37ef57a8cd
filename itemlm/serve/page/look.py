"""How the items of this catalog are shown: which columns name them, describe them and group them.

Nothing is known of a catalog beforehand. The service names the title column and the columns with
few values; a few items tell the rest.
"""

from __future__ import annotations

import asyncio
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itemlm.serve.http.errors import ApiError
from itemlm.serve.page.state import PageState
from itemlm.serve.page.words import LONGEST_VALUE, TONE_ORDER, tone, value_in_words
from itemlm.serve.schemas import Id, ItemAnswer

if TYPE_CHECKING:
    from itemlm.serve.service import Service

SAMPLE = 100  # items that are looked at
SHOWN = 3  # fields on a card
VALUES_PER_FACET = 8
FACETS = 4
ALTERNATIVE = re.compile(r"\bor\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seen:
    """An item of the history; `known` is false where the catalog has no such item."""

    item_id: Id
    title: str
    tone: str
    known: bool


@dataclass(frozen=True, slots=True)
class Look:
    """How this catalog is shown.

    Attributes:
        title: the column that names items; None where ids must do.
        shown: columns for a line below the title.
        group: the column whose values give items their colors; None where there is none.
        groups: its most frequent values.
        facets: columns and values for one-click filters.
        lists: columns whose values are lists.
        truths: columns whose values are true or false.
    """

    title: str | None
    shown: list[str]
    group: str | None
    groups: list[str]
    facets: dict[str, list[str]]
    lists: frozenset[str]
    truths: frozenset[str]

    @classmethod
    async def of(cls, service: Service) -> Look:
        """Look at the catalog."""
        facets, sample = await asyncio.gather(service.facets(), service.items(limit=SAMPLE))
        rows = [item.fields for item in sample.items]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        title = service.title_column
        described = [column for column in columns if column not in {title, "item_id"}]
        kinds = {column: {type(row.get(column)) for row in rows} for column in columns}
        shown = [column for column in described if _brief(rows, column)][:SHOWN]
        # Without a column of few values, the first plain text still tells items apart.
        plain = [column for column in shown if str in kinds[column]]
        group = next(iter([*facets, *plain, *shown]), None)
        return cls(
            title=title,
            shown=shown,
            group=group,
            groups=facets.get(group, []) if group is not None else [],
            facets={
                column: values[:VALUES_PER_FACET]
                for column, values in list(facets.items())[:FACETS]
                if ":" not in column and "`" not in column
            },
            lists=frozenset(column for column, kind in kinds.items() if list in kind),
            truths=frozenset(column for column, kind in kinds.items() if bool in kind),
        )

    @property
    def fields(self) -> list[str]:
        """All columns that a card needs."""
        wanted = [self.title, *self.shown, self.group]
        return list(dict.fromkeys(column for column in wanted if column is not None))

    def title_of(self, item_id: Id, fields: Mapping[str, Any] | None) -> str:
        """An item's title, or its id."""
        title = (fields or {}).get(self.title) if self.title else None
        return str(title) if title not in (None, "") else str(item_id)

    def tone_of(self, fields: Mapping[str, Any] | None) -> str:
        """The class of an item's color: that of the first frequent group among its values.

        The map chooses alike. What it leaves gray has the color of its last value, which is the
        most special one where values are a path of categories.
        """
        value = (fields or {}).get(self.group) if self.group else None
        parts = value if isinstance(value, list) else [] if value is None else [value]
        names = [str(part).lower() if isinstance(part, bool) else str(part) for part in parts]
        frequent = self.groups[: len(TONE_ORDER)]
        known = [name for name in names if name in frequent]
        return tone(next(iter(known or names[-1:]), ""), frequent)

    def line_of(self, fields: Mapping[str, Any] | None) -> str:
        """A few fields as one line."""
        values = [(fields or {}).get(column) for column in self.shown]
        return " · ".join(
            value_in_words(value[:3] if isinstance(value, list) else value)
            for value in values
            if value not in (None, "", [])
        )

    def expression(self, state: PageState) -> str | None:
        """The filter box and the facets as one expression.

        Values of one column are alternatives; different columns must all be met.
        """
        by_column: dict[str, list[str]] = {}
        for column, value in state.facets:
            if column in self.facets:
                by_column.setdefault(column, []).append(self._condition(column, value))
        # The box comes first, so that places in an error's sentence are places in the box.
        parts = [state.filter] if state.filter else []
        parts += [" or ".join(conditions) for conditions in by_column.values()]
        if len(parts) > 1:
            parts = [f"({part})" if ALTERNATIVE.search(part) else part for part in parts]
        return " and ".join(parts) or None

    def _condition(self, column: str, value: str) -> str:
        is_word = column.isidentifier() and not keyword.iskeyword(column)
        name = column if is_word else f"`{column}`"
        if column in self.truths and value in {"true", "false"}:
            return f"{name} == {value}"
        quoted = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return f"{quoted} in {name}" if column in self.lists else f"{name} == {quoted}"


async def found_item(service: Service, text: str, model: str | None = None) -> ItemAnswer:
    """The item with an id that was read from a URL, where numbers and texts look the same.

    Raises:
        ApiError: with status 404 if there is none.
    """
    try:
        return await service.item(text, model)
    except ApiError as error:
        if error.status != 404 or not re.fullmatch(r"-?\d{1,18}", text):
            raise
        return await service.item(int(text), model)


async def seen_items(service: Service, look: Look, history: tuple[str, ...]) -> list[Seen]:
    """The items of a history, as chips show them."""
    return list(await asyncio.gather(*(_seen(service, look, text) for text in history)))


async def _seen(service: Service, look: Look, text: str) -> Seen:
    try:
        item = await found_item(service, text)
    except ApiError as error:
        if error.status != 404:
            raise
        return Seen(item_id=text, title=text, tone="tone-none", known=False)
    return Seen(
        item_id=item.item_id,
        title=look.title_of(item.item_id, item.fields),
        tone=look.tone_of(item.fields),
        known=not item.removed,
    )


def _brief(rows: list[dict[str, Any]], column: str) -> bool:
    values = [row.get(column) for row in rows if row.get(column) not in (None, "", [])]
    return bool(values) and all(len(value_in_words(value)) <= LONGEST_VALUE for value in values)
