"""The little that both databases must offer for the SQL of the store to run on either.

SQL is written with `?` for values. `each` and `gathered` are the two pieces of SQL that the store
needs and that the databases spell differently.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from itemlm.serve.store.rows import StoreUnavailable
from itemlm.types import DataError

Row = tuple[Any, ...]


class Closable(Protocol):
    """All that a pool needs to know of a connection."""

    def close(self) -> None:
        """Let go of it."""
        ...


C = TypeVar("C", bound=Closable)


class Session(Protocol):
    """An open transaction."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows that a statement gives."""
        ...

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """How many rows a statement changed."""
        ...

    def change_each(self, sql: str, many: Iterable[Sequence[Any]]) -> list[int]:
        """How many rows a statement changed, for each of many sets of values."""
        ...


class Database(ABC):
    """A database with our tables, or without any yet."""

    number: ClassVar[str]  # the type of a column that counts rows
    each: ClassVar[str]  # a table `asked` with the column `value`, from a JSON list of text
    gathered: ClassVar[str]  # a JSON list of the column `item_id`
    name: str  # for messages

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows that a statement gives, outside of a transaction."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Session]:
        """A transaction; one at a time, in all processes. On disk when it ends."""

    @abstractmethod
    def scrub(self) -> None:
        """Leave no copies of deleted rows behind, as far as that is in our hands."""

    @abstractmethod
    def tables(self) -> set[str]:
        """Names of the tables that are there."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections."""


class Pool(Generic[C]):
    """Open connections that wait for work. Each is used by one thread at a time.

    The last one given back is taken first, so that a quiet service uses one connection only.
    """

    def __init__(self, connect: Callable[[], C], usable: Callable[[C], bool], name: str) -> None:
        self._connect = connect
        self._usable = usable
        self._name = name
        self._idle: list[C] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> C:
        """A connection that nobody else uses.

        Raises:
            StoreUnavailable: if the store was closed.
        """
        while True:
            with self._lock:
                if self._closed:
                    raise StoreUnavailable(f"The store {self._name} was closed.")
                waiting = self._idle.pop() if self._idle else None
            if waiting is None:
                return self._connect()
            if self._usable(waiting):
                return waiting
            waiting.close()

    def give(self, connection: C) -> None:
        """Put a connection back."""
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close all that wait; those in use are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def unfit_text(error: Exception) -> DataError:
    """Half a character, or NUL: no database keeps it."""
    return DataError(
        f"a text cannot be stored ({error}). Ids and names must be valid Unicode without NUL."
    )
