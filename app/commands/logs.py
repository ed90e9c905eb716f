"""Logs: one JSON object a line on standard error; no headers, bodies or query strings, and nobody waits for them."""

import contextlib
import json
import logging
import logging.handlers
import os
import queue
from datetime import UTC, datetime

_MAX_TEXT_CHARACTERS = 4000
_MAX_WAITING_LINES = 10_000
_LAST_LINES_S = 1.0
_STANDARD_ERROR = 2
_QUIET = ("httpx", "uvicorn.access", "alembic", "sqlalchemy", "aiosqlite", "asyncio")


class JsonLines(logging.Formatter):
    """One record as one line of ASCII JSON, whatever is in its text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_MAX_TEXT_CHARACTERS],
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-_MAX_TEXT_CHARACTERS:]
        return json.dumps(line)


class _Straight(logging.Handler):
    """Writes to standard error past Python's file object: a pipe that nobody reads would hold its lock for ever."""

    def createLock(self) -> None:  # noqa: N802 - the library's name
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        left = (self.format(record) + "\n").encode()
        try:
            while left:
                left = left[os.write(_STANDARD_ERROR, left) :]
        except OSError:
            return


class _Listener(logging.handlers.QueueListener):
    def stop(self) -> None:
        """Write what waits, but not for long: a full pipe must not keep the process from ending."""
        with contextlib.suppress(queue.Full):
            self.enqueue_sentinel()
        if self._thread is not None:
            self._thread.join(_LAST_LINES_S)
            self._thread = None


class _Dropping(logging.handlers.QueueHandler):
    """A full queue (a pipe nobody reads) costs lines, never a request."""

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


def _unfinished(record: logging.LogRecord) -> bool:
    # uvicorn's word for an answer that Lectr broke off on purpose, because the provider's did.
    return "without completing response" not in record.getMessage()


def start_logging() -> logging.handlers.QueueListener:
    """Send every log line through a thread of its own; stop the listener at the end."""
    output = _Straight()
    output.setFormatter(JsonLines())
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_MAX_WAITING_LINES)
    root = logging.getLogger()
    root.handlers = [_Dropping(waiting)]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_unfinished)
    listener = _Listener(waiting, output)
    listener.start()
    return listener
