"""Anthropic's Messages API.

A stream begins with `message_start` (input counters, a first few output tokens) and ends with `message_delta`, whose
counters are cumulative: each of its non-null fields overwrites, nothing is added. A tool loop or a spliced stream has
several `message_start` events; the same rule holds for them.
"""

from typing import Any

import msgspec

from app.domain import Reply
from app.upstream.formats.loose import fields_in, items_in, loose_json, short, text_in
from app.upstream.formats.reader import AnswerReader, plain_document


class _Delta(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    usage: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    delta: _Delta | None = None
    message: _Message | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _Block(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"")


class _Document(msgspec.Struct):
    model: str | None = None
    usage: dict[str, Any] | None = None
    content: list[_Block] | None = None
    error: Any = None


_DECODE_EVENT = msgspec.json.Decoder(_Event).decode
_DECODE_DOCUMENT = msgspec.json.Decoder(_Document).decode


class MessagesReader(AnswerReader):
    """Reads answers of `/v1/messages`, streamed or not."""

    def read_event(self, data: bytes, name: bytes) -> None:
        """Learn from one event of a message stream."""
        try:
            event = _DECODE_EVENT(data)
        except (msgspec.MsgspecError, RecursionError):
            loose = loose_json(data)
            if not isinstance(loose, dict):
                self.doubt(data)
                return
            event = _loose_event(loose)
        delta = event.delta
        if delta is not None:
            text = delta.text or delta.partial_json or delta.thinking
            if text:
                self.reply.output_characters += len(text)
        kind = event.type
        if kind == "content_block_delta":
            return
        if event.message is not None:
            self._take(event.message.model, event.message.usage)
        if event.usage is not None:
            self._take(None, event.usage)
            self.reply.usage_complete = self.reply.usage is not None
        if kind == "message_stop":
            self.end()
        elif kind == "error" or event.error is not None:
            self.take_error({"error": event.error})

    def read_document(self, body: bytes) -> bool:
        """Learn from a whole message, or from an error body."""
        try:
            document = _DECODE_DOCUMENT(body)
        except (msgspec.MsgspecError, RecursionError):
            loose = plain_document(body)
            if loose is None:
                return False
            document = _Document(text_in(loose, "model"), fields_in(loose, "usage"), None, loose.get("error"))
        self._take(document.model, document.usage)
        for block in document.content or ():
            self.reply.output_characters += len(block.text or "") + len(block.thinking or "") + len(block.input)
        if document.error is not None:
            self.take_error({"error": document.error})
        self.reply.usage_complete = self.reply.usage is not None
        return True

    def _take(self, model: str | None, usage: dict[str, Any] | None) -> None:
        reply = self.reply
        if model:
            reply.response_model = short(model)
        if not usage:
            return
        _overwrite(reply, usage)
        tier = text_in(usage, "service_tier")
        if tier:
            reply.service_tier = short(tier)
        # After a server-side fallback the counters are those of the model that served, whatever the start said.
        for item in items_in(usage, "iterations"):
            if text_in(item, "type") == "fallback_message":
                reply.response_model = short(text_in(item, "model") or reply.response_model or "") or None


def _overwrite(reply: Reply, usage: dict[str, Any]) -> None:
    merged = reply.usage or {}
    for key, value in usage.items():
        if value is not None or key not in merged:
            merged[key] = value
    reply.usage = merged


def _loose_event(fields: dict[str, Any]) -> _Event:
    delta = fields_in(fields, "delta")
    message = fields_in(fields, "message")
    return _Event(
        type=text_in(fields, "type"),
        delta=_Delta(text_in(delta, "text"), text_in(delta, "thinking"), text_in(delta, "partial_json")),
        message=_Message(text_in(message, "model"), fields_in(message, "usage")) if message else None,
        usage=fields_in(fields, "usage"),
        error=fields.get("error"),
    )
