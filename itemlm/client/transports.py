"""The two clients: `Client` waits, `AsyncClient` is awaited. All methods are those of `calls.py`.

Requests that the service turns away (429, 503) and those that got lost on the way are sent again a
few times, if sent twice they do what they do once. How long to wait in between is the service's to
say (`Retry-After`); a random part is added, so that many clients do not return together.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, Self, TypeVar, get_args, overload

from pydantic import BaseModel, ValidationError

from itemlm.client import calls
from itemlm.client.calls import Call
from itemlm.client.errors import ServiceError
from itemlm.serve.schemas import ItemAnswer, ProblemAnswer
from itemlm.types import ConfigError, MissingExtra

try:
    import httpx
except ImportError as error:
    raise MissingExtra("the client", "client") from error

TURNED_AWAY = (429, 503)
FIRST_WAIT = 0.25  # seconds, doubled with each try; where the service does not say how long
LONGEST_WAIT = 30.0  # seconds; who is told to wait longer gets the error instead
PAGE = 1000  # items

P = ParamSpec("P")
A = TypeVar("A", bound=BaseModel)


class _Method(Generic[P, A]):
    """A call as a method: of a `Client` it answers, of an `AsyncClient` it is awaited."""

    def __init__(self, describe: Callable[P, Call[A]]) -> None:
        self._describe = describe
        signature = inspect.signature(describe, eval_str=True)
        (answer,) = get_args(signature.return_annotation)
        self._signature = signature.replace(return_annotation=answer)

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, A]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, A]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[A]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Callable[P, Any]:
        describe = self._describe
        if client is None:
            return describe

        @wraps(describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client._send(describe(*args, **kwargs))

        method.__signature__ = self._signature  # type: ignore[attr-defined]
        return method


class _Calls:
    """What both clients can be asked for, and what both know of the way to the service."""

    recommend = _Method(calls.recommend)
    similar = _Method(calls.similar)
    search = _Method(calls.search)
    rank = _Method(calls.rank)
    explain = _Method(calls.explain)
    add_events = _Method(calls.add_events)
    put_items = _Method(calls.put_items)
    item = _Method(calls.item)
    popularity = _Method(calls.popularity)
    remove_item = _Method(calls.remove_item)
    user = _Method(calls.user)
    forget = _Method(calls.forget)
    models = _Method(calls.models)
    activate = _Method(calls.activate)
    rollback = _Method(calls.rollback)
    health = _Method(calls.health)

    def __init__(self, base_url: str, api_key: str | None, timeout: float, retries: int) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"'{base_url}' is no address of a service. Write it with its scheme, as in "
                "'http://localhost:8000'."
            )
        if retries < 0 or timeout <= 0:
            raise ConfigError(
                f"retries is {retries} and timeout {timeout}, but retries must be 0 or more and "
                "timeout more than 0."
            )
        headers = {"Accept": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key.strip()}"
        self._options: dict[str, Any] = {
            "base_url": base_url,
            "headers": headers,
            "timeout": timeout,
        }
        self._retries = retries

    def _wait(
        self, call: Call[A], outcome: httpx.Response | httpx.RequestError, tries: int
    ) -> float | None:
        """Seconds until a request is sent again; None if its outcome is final."""
        if not call.repeatable or tries > self._retries:
            return None
        told = None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in TURNED_AWAY:
                return None
            told = _retry_after(outcome)
            if told is not None and told > LONGEST_WAIT:
                return None
        most = min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT)
        if told is None:
            return random.uniform(most / 2, most)
        return told + random.uniform(0, most)


class Client(_Calls):
    """A running service, asked from ordinary code. Threads may share one client.

    Args:
        base_url: where the service is, such as "https://example.com/recommendations".
        api_key: made by `itemlm keys add`; None for a service without keys.
        timeout: seconds of each try, not of all together.
        retries: further tries after a request was turned away or lost.
        transport: what carries the requests, in tests; the network if None.

    Raises:
        ConfigError: if the address or a number cannot be. Methods raise `ServiceError` for what
            the service refuses, and `UnknownName` or `DataError` for requests that it would.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key, timeout, retries)
        self._http = httpx.Client(**self._options, transport=transport)

    def items(self, filter: str | None = None) -> Iterator[ItemAnswer]:
        """All items of the catalog that meet a filter, fetched page by page."""
        cursor = None
        while True:
            page = self._send(calls.item_page(PAGE, cursor, filter))
            yield from page.items
            if (cursor := page.cursor) is None:
                return

    def close(self) -> None:
        """Let go of all connections; `with` does it by itself."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: Call[A]) -> A:
        tries = 1
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.request(call.method, call.path, **_parts(call))
            except httpx.RequestError as error:
                outcome = error
            seconds = self._wait(call, outcome, tries)
            if seconds is None:
                return _read(call, outcome)
            time.sleep(seconds)
            tries += 1


class AsyncClient(_Calls):
    """The same for `await`. The arguments are those of `Client`."""

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key, timeout, retries)
        self._http = httpx.AsyncClient(**self._options, transport=transport)

    async def items(self, filter: str | None = None) -> AsyncIterator[ItemAnswer]:
        """All items of the catalog that meet a filter, fetched page by page."""
        cursor = None
        while True:
            page = await self._send(calls.item_page(PAGE, cursor, filter))
            for item in page.items:
                yield item
            if (cursor := page.cursor) is None:
                return

    async def close(self) -> None:
        """Let go of all connections; `async with` does it by itself."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, call: Call[A]) -> A:
        tries = 1
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._http.request(call.method, call.path, **_parts(call))
            except httpx.RequestError as error:
                outcome = error
            seconds = self._wait(call, outcome, tries)
            if seconds is None:
                return _read(call, outcome)
            await asyncio.sleep(seconds)
            tries += 1


def _parts(call: Call[A]) -> dict[str, Any]:
    """A call in httpx's words."""
    parts: dict[str, Any] = {"params": call.params}
    if call.body is not None:
        parts |= {"content": call.body, "headers": {"Content-Type": "application/json"}}
    return parts


def _read(call: Call[A], outcome: httpx.Response | httpx.RequestError) -> A:
    """The answer to a call, or the error that it is."""
    if isinstance(outcome, httpx.RequestError):
        url, name = outcome.request.url, type(outcome).__name__
        raise ServiceError(
            f"{url.scheme}://{url.netloc.decode()} does not answer ({str(outcome) or name}). Is "
            "the service running, and is this its address?",
            code="unreachable",
        ) from outcome
    status = outcome.status_code
    try:
        if outcome.is_success:
            return call.answer.model_validate_json(outcome.content)
        problem = ProblemAnswer.model_validate_json(outcome.content).error
    except ValidationError as error:
        raise ServiceError(
            f"{outcome.url} answered with status {status} and something that is no answer of "
            "itemlm. Is this the service's address, and has it the version of this client?",
            code="unreadable",
            status=status,
            request_id=outcome.headers.get("X-Request-ID"),
        ) from error
    raise ServiceError(
        problem.message,
        code=problem.code,
        status=status,
        request_id=problem.request_id,
        field=problem.field,
        retry_after=_retry_after(outcome),
    )


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds in `Retry-After`; a proxy's date counts as not given."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
