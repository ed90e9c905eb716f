"""OpenAI's Responses API, as OpenAI, Azure and Groq answer.

Usage comes with `response.completed` or `response.incomplete`; a failed response has none, a background one comes
without. Web searches are not in the usage: their output items are counted.
"""

from typing import Any

import msgspec

from app.upstream.formats.loose import fields_in, items_in, loose_json, short, text_in
from app.upstream.formats.reader import AnswerReader, plain_document

_LAST = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
_NO_TEXT = frozenset(("response.audio.delta",))


class _Action(msgspec.Struct):
    type: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    action: _Action | None = None


class _Response(msgspec.Struct):
    model: str | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None
    output: list[_Item] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str | None = None
    delta: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


_DECODE_EVENT = msgspec.json.Decoder(_Event).decode
_DECODE_DOCUMENT = msgspec.json.Decoder(_Response).decode


class ResponsesReader(AnswerReader):
    """Reads answers of `/v1/responses`, streamed or not."""

    def read_event(self, data: bytes, name: bytes) -> None:
        """Learn from one event of a response stream."""
        try:
            event = _DECODE_EVENT(data)
        except (msgspec.MsgspecError, RecursionError):
            loose = loose_json(data)
            if not isinstance(loose, dict):
                if data.strip() == b"[DONE]":
                    self.end()
                else:
                    self.doubt(data)
                return
            event = _loose_event(loose)
        kind = event.type or name.decode("ascii", "replace")
        if event.delta is not None:
            if kind not in _NO_TEXT:
                self.reply.output_characters += len(event.delta)
            return
        if kind == "response.output_item.done" and event.item is not None:
            self.reply.web_search_calls += _searches([event.item])
        if event.response is not None:
            self._take(event.response)
        if kind in _LAST:
            self.end()
        elif kind == "error" or event.error is not None:
            self.take_error({"error": event.error if event.error is not None else {"code": event.code}})

    def read_document(self, body: bytes) -> bool:
        """Learn from a whole response, or from an error body."""
        try:
            response = _DECODE_DOCUMENT(body)
        except (msgspec.MsgspecError, RecursionError):
            loose = plain_document(body)
            if loose is None:
                return False
            response = _loose_response(loose)
        self._take(response)
        return True

    def read_salvaged(self, found: dict[str, Any], head: bytes) -> None:
        """As for every format; an oversized event that carries usage is also the last one."""
        super().read_salvaged(found, head)
        if "usage" in found:
            self.end()

    def _take(self, response: _Response) -> None:
        reply = self.reply
        if response.model:
            reply.response_model = short(response.model)
        if response.service_tier:
            reply.service_tier = short(response.service_tier)
        if response.usage:
            reply.usage = response.usage
            reply.usage_complete = True
        if response.output:
            reply.web_search_calls = max(reply.web_search_calls, _searches(response.output))
        if response.error is not None:
            # A failed response is the end; a document with an error has no more to say either.
            self.take_error({"error": response.error})


def _searches(items: list[_Item]) -> int:
    # Opening a page and looking inside it are actions of the same item type, but only a search is charged.
    return sum(
        item.type == "web_search_call" and (item.action is None or item.action.type in (None, "search"))
        for item in items
    )


def _loose_event(fields: dict[str, Any]) -> _Event:
    response = fields_in(fields, "response")
    item = fields_in(fields, "item")
    return _Event(
        type=text_in(fields, "type"),
        delta=text_in(fields, "delta"),
        item=_loose_item(item) if item else None,
        response=_loose_response(response) if response else None,
        error=fields.get("error"),
        code=fields.get("code"),
    )


def _loose_response(fields: dict[str, Any]) -> _Response:
    return _Response(
        model=text_in(fields, "model"),
        service_tier=text_in(fields, "service_tier"),
        usage=fields_in(fields, "usage"),
        output=[_loose_item(item) for item in items_in(fields, "output")],
        error=fields.get("error"),
    )


def _loose_item(item: Any) -> _Item:
    action = fields_in(item, "action")
    return _Item(text_in(item, "type"), _Action(text_in(action, "type")) if action else None)
