"""Embeddings, images and audio of the OpenAI wire formats: a model perhaps, and one usage object.

Streams of these end with an event that carries the usage (`transcript.text.done`, `speech.audio.done`,
`image_generation.completed`). A verbose transcription of Whisper has no usage but tells its duration.
"""

from typing import Any

import msgspec

from app.upstream.formats.loose import fields_in, loose_json, short, text_in
from app.upstream.formats.reader import AnswerReader, plain_document

_LAST = ("transcript.text.done", "speech.audio.done", "image_generation.completed", "image_edit.completed")


class _Document(msgspec.Struct):
    type: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None
    duration: float | None = None
    delta: str | None = None
    text: str | None = None
    error: Any = None


_DECODE = msgspec.json.Decoder(_Document).decode


class UsageReader(AnswerReader):
    """Reads answers that have one usage object at the top level, streamed or not."""

    def read_event(self, data: bytes, name: bytes) -> None:
        """Learn from one event."""
        try:
            document = _DECODE(data)
        except (msgspec.MsgspecError, RecursionError):
            loose = loose_json(data)
            if not isinstance(loose, dict):
                if data.strip() == b"[DONE]":
                    self.end()
                else:
                    self.doubt(data)
                return
            document = _loose_document(loose)
        self._take(document)
        if document.delta:
            self.reply.output_characters += len(document.delta)
        kind = document.type or name.decode("ascii", "replace")
        if kind in _LAST:
            self.end()
        if document.error is not None or kind == "error":
            self.take_error({"error": document.error})

    def read_document(self, body: bytes) -> bool:
        """Learn from a whole answer, or from an error body."""
        try:
            document = _DECODE(body)
        except (msgspec.MsgspecError, RecursionError):
            loose = plain_document(body)
            if loose is None:
                return False
            document = _loose_document(loose)
        self._take(document)
        if document.text:
            self.reply.output_characters += len(document.text)
        if self.reply.usage is None and document.duration is not None:
            self.reply.usage = {"type": "duration", "seconds": document.duration}
            self.reply.usage_complete = True
        if document.error is not None:
            self.take_error({"error": document.error})
        return True

    def _take(self, document: _Document) -> None:
        reply = self.reply
        if document.model:
            reply.response_model = short(document.model)
        if document.service_tier:
            reply.service_tier = short(document.service_tier)
        if document.usage:
            reply.usage = document.usage
            reply.usage_complete = True


def _loose_document(fields: dict[str, Any]) -> _Document:
    duration = fields.get("duration")
    try:
        seconds = float(duration) if isinstance(duration, int | float | str) else None
    except (ValueError, OverflowError):
        seconds = None
    return _Document(
        type=text_in(fields, "type"),
        model=text_in(fields, "model"),
        service_tier=text_in(fields, "service_tier"),
        usage=fields_in(fields, "usage"),
        duration=seconds,
        delta=text_in(fields, "delta"),
        text=text_in(fields, "text"),
        error=fields.get("error"),
    )
