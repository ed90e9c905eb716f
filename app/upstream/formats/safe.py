"""A reader whose faults cost one request its price, and nothing else."""

import logging

from app.domain import Reply
from app.upstream.formats.reader import AnswerReader

log = logging.getLogger("lectr.formats")


class SafeReader:
    """Passes all to a reader; once that raises, the bytes go on as they came and the reader is not asked again."""

    def __init__(self, reader: AnswerReader) -> None:
        self._reader: AnswerReader | None = reader
        self.reply: Reply = reader.reply

    @property
    def terminal(self) -> bool:
        """The format's terminal event was seen."""
        return self._reader is not None and self._reader.terminal

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client now. Never raises."""
        if self._reader is None:
            return chunk
        try:
            return self._reader.feed(chunk)
        except Exception:
            self._give_up()
            return chunk

    def finish(self) -> bytes:
        """End of the answer: bytes still held back. Never raises."""
        if self._reader is None:
            return b""
        try:
            return self._reader.finish()
        except Exception:
            self._give_up()
            return b""

    def _give_up(self) -> None:
        log.exception("a reader failed; the answer goes on unread")
        self._reader = None
        self.reply.reader_failed = True
