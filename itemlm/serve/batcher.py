"""Batcher: requests that arrive together are answered together, and none waits for company.

One thread works. While it answers a batch, requests gather, and when it is done it takes all that
are there (up to a limit) at once: at low load each is alone and answered at once, at high load
batches grow by themselves. No timer delays anybody.

How long a newcomer would wait is known from the queue and the recent time per request. If that is
more than the budget, it is turned away at once: a clear no is better than a late answer, and those
who are let in are answered in time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

FORGETS = 0.1  # weight of the latest batch in the time per request


class Overloaded(Exception):
    """The queue is too long; `seconds` until it is worth trying again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"try again in {seconds:.1f} seconds")
        self.seconds = seconds


class Stopped(Exception):
    """The batcher takes no more questions."""


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Q, A]):
    question: Q
    future: asyncio.Future[A]
    loop: asyncio.AbstractEventLoop


class Batcher(Generic[Q, A]):
    """Answers questions in batches, in a thread of its own.

    Args:
        answer: gives an answer or an exception for each of several questions, in their order.
        max_batch: most questions at a time.
        budget: seconds of expected waiting beyond which newcomers are turned away.
        observe: is told the size of each batch and the seconds that it took.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], Sequence[A | Exception]],
        *,
        max_batch: int,
        budget: float,
        observe: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._answer, self._observe = answer, observe
        self._max_batch, self._budget = max_batch, budget
        self._queue: deque[_Waiting[Q, A]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._seconds_each = 0.0
        self._thread = threading.Thread(target=self._work, name="itemlm-model", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    def too_long(self) -> float:
        """Seconds that a newcomer would wait if that is beyond the budget, else 0.

        What fits into the next batch is always let in, however slow the last ones were.
        """
        expected = len(self._queue) * self._seconds_each
        return expected if len(self._queue) >= self._max_batch and expected > self._budget else 0.0

    async def ask(self, question: Q, timeout: float) -> A:
        """An answer.

        Raises:
            Overloaded: if it would come too late.
            TimeoutError: if it did not come within `timeout` seconds; nobody answers it any more.
            Stopped: if the batcher was stopped.
        """
        if (seconds := self.too_long()) > 0:
            raise Overloaded(seconds)
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Q, A] = _Waiting(question, loop.create_future(), loop)
        with self._changed:
            if self._stopped:
                raise Stopped
            self._queue.append(waiting)
            self._changed.notify()
        return await asyncio.wait_for(waiting.future, timeout)

    def stop(self) -> None:
        """Answer what is waiting, then stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            started = time.perf_counter()
            try:
                answers = self._answer([waiting.question for waiting in batch])
                if len(answers) != len(batch):
                    raise RuntimeError(f"{len(answers)} answers to {len(batch)} questions")
            except Exception as error:  # a bug of ours must not end the thread
                logging.getLogger("itemlm.serve").exception("a batch could not be answered")
                answers = [error] * len(batch)
            seconds = time.perf_counter() - started
            each = seconds / len(batch)
            self._seconds_each += FORGETS * (each - self._seconds_each)
            self._observe(len(batch), seconds)
            for loop in {waiting.loop for waiting in batch}:
                pairs = [
                    (waiting.future, answer)
                    for waiting, answer in zip(batch, answers, strict=True)
                    if waiting.loop is loop
                ]
                with suppress(RuntimeError):  # a loop that was closed waits for nothing
                    loop.call_soon_threadsafe(_deliver, pairs)

    def _next(self) -> list[_Waiting[Q, A]]:
        """The next batch; empty when there is nothing left and nothing will come."""
        while True:
            with self._changed:
                while not self._queue and not self._stopped:
                    self._changed.wait()
                count = min(len(self._queue), self._max_batch)
                batch = [self._queue.popleft() for _ in range(count)]
                if not batch:
                    return []
            batch = [waiting for waiting in batch if not waiting.future.done()]  # gave up waiting
            if batch:
                return batch


def _deliver(pairs: Sequence[tuple[asyncio.Future[A], A | Exception]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
