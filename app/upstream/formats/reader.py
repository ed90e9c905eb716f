"""What all readers share: telling a stream from a document, and never harming the bytes that pass.

A reader is fed with the answer as it passes to the client and fills a `Reply`. Whatever goes wrong inside it ends
the reading, never the request: `reply.reader_failed` is set and the bytes go on as they came.
"""

from typing import Any

from app.domain import Reply
from app.upstream.formats.loose import error_name, loose_json, salvage, short
from app.upstream.sse import Event, SseSplitter

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""A longer JSON body is not kept: only its two ends are looked at. Embedding batches and images get there."""

KEPT_OF_DOCUMENT = 64 * 1024

_SPACE = b" \t\r\n"
_LEAD = _SPACE + b"\xef\xbb\xbf"


class AnswerReader:
    """Base of the formats' readers: they say what an event and a document mean.

    `usage_added` is True where Lectr itself asked for the usage: then `feed` may hold back an event that has not
    come whole and gives out what the client would have got without Lectr. Otherwise it returns `chunk` itself.
    """

    text_key = b'"text":'
    """What stands before the answer's text in a document: where one was cut off, what follows is its length."""

    def __init__(self, *, usage_added: bool = False) -> None:
        self.reply = Reply()
        self.terminal = False
        self._usage_added = usage_added
        self._splitter: SseSplitter | None = None
        self._document: list[bytes] | None = None
        self._document_bytes = 0
        self._head = b""
        self._lost_usage = False
        self._off = False

    def read_event(self, data: bytes, name: bytes) -> None:
        """Learn from one event of a stream."""
        raise NotImplementedError

    def read_document(self, body: bytes) -> bool:
        """Learn from a whole JSON body; False if it is none."""
        raise NotImplementedError

    def read_salvaged(self, found: dict[str, Any], head: bytes) -> None:
        """Learn from what was found at the ends of a body or event too long to be kept."""
        if "usage" in found:
            self.reply.usage = found["usage"]
            self.reply.usage_complete = True
            self.reply.response_model = short(found["model"]) if "model" in found else self.reply.response_model
            self.reply.service_tier = found.get("service_tier", self.reply.service_tier)

    def read_plain(self, chunk: bytes) -> bytes | None:
        """Learn from many plain events at once and return what the client gets of them; None = read them one by one.

        `chunk` begins with an event. What is learned and returned is the same either way.
        """
        return None

    def edit_event(self, event: Event) -> bytes:
        """Learn from one event and return what the client gets of it; only called where Lectr asked for usage."""
        if event.data is not None:
            self.read_event(event.data, event.name)
        return event.raw

    def feed(self, chunk: bytes) -> bytes:
        """Take in the next bytes of the answer; returns what goes to the client now. Never raises."""
        if self._off:
            return chunk
        splitter = self._splitter
        try:
            if splitter is None:
                return self._feed_unsplit(chunk)
            if splitter.begins_event(chunk):
                out = self.read_plain(chunk)
                if out is not None:
                    return out
            if self._usage_added:
                return self._feed_edited(splitter, chunk)
            for event in splitter.feed(chunk):
                if event.data is not None:
                    self.read_event(event.data, event.name)
                elif event.cut is not None:
                    self._read_cut(event.cut)
        except Exception:
            return self._give_up(chunk)
        return chunk

    def finish(self) -> bytes:
        """The answer is at its end, whole or not; returns what was still held back. Never raises."""
        if self._off:
            return b""
        try:
            if self._document is not None:
                self._finish_document()
            elif self._splitter is not None:
                return self._finish_stream(self._splitter)
        except Exception:
            return self._give_up(b"")
        return b""

    def doubt(self, data: bytes) -> None:
        """An event could not be read: if usage was in it, its absence means nothing."""
        self._lost_usage = self._lost_usage or b'"usage"' in data

    def _give_up(self, chunk: bytes) -> bytes:
        self._off = True
        self.reply.reader_failed = True
        self._document = None
        held = self._splitter.held if self._splitter is not None and self._usage_added else b""
        self._splitter = None
        return held + chunk if held else chunk

    def _feed_unsplit(self, chunk: bytes) -> bytes:
        if self._document is not None:
            self._keep(chunk)
            return chunk
        # Space and byte order mark in front mean nothing, also where they come in pieces.
        body = chunk.lstrip(_LEAD)
        if not body:
            return chunk
        # What the body begins with decides, not its content type: recorded answers carry streams as JSON.
        if body[:1] in (b"{", b"["):
            self._document = []
            self._keep(body)
            return chunk
        self._splitter = SseSplitter(keep_raw=self._usage_added)
        out = self.feed(body)
        return chunk if out is body else chunk[: len(chunk) - len(body)] + out

    def _keep(self, chunk: bytes) -> None:
        assert self._document is not None
        self._document.append(chunk)
        self._document_bytes += len(chunk)
        if self._document_bytes <= MAX_DOCUMENT_BYTES and not self._head:
            return
        if not self._head:
            whole = b"".join(self._document)
            self._head = whole[:KEPT_OF_DOCUMENT]
            self._document = [whole[-KEPT_OF_DOCUMENT:]]
        elif len(self._document) > 64 or len(chunk) > KEPT_OF_DOCUMENT:
            self._document = [b"".join(self._document)[-KEPT_OF_DOCUMENT:]]

    def _finish_document(self) -> None:
        body = b"".join(self._document or ())
        self._document = None
        if self._head:
            self.read_salvaged(salvage(self._head, body), self._head)
            self.reply.ended = body.rstrip(_SPACE).endswith((b"}", b"]"))
            self.reply.reader_failed = self.reply.usage is None
        elif self.read_document(body):
            self.reply.ended = True
        else:
            _, _, text = body.partition(self.text_key)
            self.reply.output_characters = len(text.decode("utf-8", "replace"))
        self.terminal = self.reply.ended

    def _feed_edited(self, splitter: SseSplitter, chunk: bytes) -> bytes:
        events = splitter.feed(chunk)
        if len(events) == 1 and events[0].raw == chunk:
            out = self._edit(events[0])
            return chunk if out == chunk else out
        out = b"".join([self._edit(event) for event in events])
        return chunk if out == chunk else out

    def _edit(self, event: Event) -> bytes:
        try:
            if event.cut is not None:
                self._read_cut(event.cut)
                return b""
            return self.edit_event(event)
        except Exception:
            self.reply.reader_failed = True
            return event.raw

    def _read_cut(self, cut: tuple[bytes, bytes]) -> None:
        found = salvage(*cut)
        self.read_salvaged(found, cut[0])
        self._lost_usage = self._lost_usage or "usage" not in found

    def _finish_stream(self, splitter: SseSplitter) -> bytes:
        lost = self._lost_usage
        events = splitter.finish()
        out = b""
        if self._usage_added:
            out = b"".join([self._edit(event) for event in events])
        else:
            for event in events:
                if event.data is not None:
                    self.read_event(event.data, event.name)
                elif event.cut is not None:
                    self._read_cut(event.cut)
        # An event that the end of the stream cut off is no failure of the reader: the request is estimated.
        if lost and self.reply.usage is None:
            self.reply.reader_failed = True
        return out

    def take_error(self, document: Any) -> None:
        """Keep the code of a mid-stream error; nothing follows it."""
        self.reply.provider_error = error_name(document) or "error"
        self.end()

    def end(self) -> None:
        """The format's terminal event was seen."""
        self.terminal = True
        self.reply.ended = True


def plain_document(body: bytes) -> dict[str, Any] | None:
    """`body` as an object, an error's list unwrapped; None if it is no JSON, empty if it is something else."""
    document = loose_json(body)
    if isinstance(document, list):
        document = document[0] if document and isinstance(document[0], dict) and "error" in document[0] else {}
    if document is None:
        return None
    return document if isinstance(document, dict) else {}
