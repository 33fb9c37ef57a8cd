"""The log: one JSON object per line on stderr.

A line of the access log says time, method, route, status, milliseconds, request id and the name of
the API key; never a body, a query, a path (it may hold the id of a person) or a key. The traceback
of an unexpected error is logged too; the message in it is the one thing that may quote data.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TextIO

from itemlm.serve.http import exchange

# JSON escapes what lies below the space and, so told, all beyond ASCII.
_to_json = json.JSONEncoder(ensure_ascii=True, default=str).encode
access = logging.getLogger("itemlm.access")
GATHERED_FOR = 0.2  # seconds


class JsonLine(logging.Formatter):
    """A log record as one line of JSON; control characters in it are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        row: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        fields = record.__dict__.get("fields")
        if fields is not None:
            row |= fields
        else:
            row |= {"logger": record.name, "message": record.getMessage()}
            name = exchange.request_id.get()
            if name != exchange.NO_REQUEST:
                row["request_id"] = name
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return _to_json(row).replace("\x7f", "\\u007f")  # the one that JSON leaves


class Gathered(logging.Handler):
    """Writes lines some at a time, since a call to the system for each would cost more than it.

    A warning or worse is written at once, with all that waited before it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._lines: list[str] = []
        self._wake = threading.Event()
        threading.Thread(target=self._work, name="itemlm-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self._lines.append(self.format(record))
        if record.levelno >= logging.WARNING:
            self.flush()
        else:
            self._wake.set()

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join([*lines, ""]))
                self.stream.flush()
        finally:
            self.release()

    def _work(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            time.sleep(GATHERED_FOR)
            self.flush()


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the log of the service and of its web server to a stream, stderr if none is given.

    The web server's own access log holds raw paths: run it with `log_config=None` and
    `access_log=False`.
    """
    handler = Gathered(stream or sys.stderr)
    handler.setFormatter(JsonLine())
    for name in ("itemlm", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log_request(row: dict[str, object]) -> None:
    """Write a line of the access log."""
    if access.isEnabledFor(logging.INFO):
        # Made by hand: `access.info` walks the stack for a line number that nobody reads.
        record = logging.LogRecord(access.name, logging.INFO, "", 0, "request", None, None)
        record.fields = row
        access.handle(record)
