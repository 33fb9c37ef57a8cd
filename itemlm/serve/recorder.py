"""Recorder: answers are written down a moment after they were given, many at a time.

What was shown to whom is what A/B tests and explanations are made of, but nobody should wait for
the disk because of it. So answers gather in memory and a thread writes them every moment. The
latest stay in memory, where a next page or an explanation finds them at once. If the store cannot
keep up, the oldest that are not yet written are dropped and counted, rather than memory filled.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque

from itemlm.serve.store.rows import Recommendation, Shadow
from itemlm.serve.store.store import Store
from itemlm.types import ItemlmError

EVERY = 0.25  # seconds
WAITING = 20_000  # answers that wait to be written
REMEMBERED = 2_000  # answers in memory, some kilobytes each
AT_A_TIME = 1000


class Recorder:
    """Writes answers into a store, from a thread of its own.

    Attributes:
        dropped: answers that were never written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[Recommendation] = deque()
        self._shadows: deque[Shadow] = deque(maxlen=WAITING)
        self._latest: OrderedDict[str, Recommendation] = OrderedDict()
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # held from taking answers out until they are on disk
        self._stop = threading.Event()
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="itemlm-recorder", daemon=True)
        self._thread.start()

    def add(self, answer: Recommendation) -> None:
        """An answer that was given."""
        with self._lock:
            self._latest[answer.recommendation_id] = answer
            if len(self._latest) > REMEMBERED:
                self._latest.popitem(last=False)
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(answer)

    def add_shadow(self, shadow: Shadow) -> None:
        """What another model would have answered."""
        self._shadows.append(shadow)

    def find(self, recommendation_id: str) -> Recommendation | None:
        """An answer, from memory or the store."""
        with self._lock:
            latest = self._latest.get(recommendation_id)
        return latest or self._store.recommendation(recommendation_id)

    def forget(self, user: str) -> None:
        """Drop what is in memory of a person; nothing of it is on its way to the store then.

        Whose visits were the person's only the store knows, so all of the latest are dropped; they
        are found in the store.
        """
        with self._writing, self._lock:
            self._latest.clear()
            self._waiting = deque(row for row in self._waiting if row.user_id != user)

    def flush(self) -> None:
        """Write what is waiting."""
        with self._writing:
            while self._write_some():
                pass

    def _write_some(self) -> bool:
        """Write what fits into one transaction; False where nothing is left or it failed."""
        with self._lock:
            count = min(len(self._waiting), AT_A_TIME)
            rows = [self._waiting.popleft() for _ in range(count)]
        shadows = [self._shadows.popleft() for _ in range(min(len(self._shadows), AT_A_TIME))]
        try:
            if rows:
                self._store.log_recommendations(rows)
            if shadows:
                self._store.log_shadow(shadows)
        except ItemlmError as error:
            logging.getLogger("itemlm.serve").warning("answers were not kept: %s", error)
            with self._lock:
                self._waiting.extendleft(reversed(rows))
            return False
        return bool(rows or shadows)

    def stop(self) -> None:
        """Write what is waiting, then stop."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _work(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.flush()
            except Exception:
                logging.getLogger("itemlm.serve").exception("answers were not kept")
