"""The wire formats Lectr reads: what a request asks for, and what its answer says of model, tier and usage."""

from typing import Protocol

from app.domain import Reply
from app.upstream.formats.anthropic_messages import MessagesReader
from app.upstream.formats.openai_chat import ChatReader
from app.upstream.formats.openai_other import UsageReader
from app.upstream.formats.openai_responses import ResponsesReader
from app.upstream.formats.reader import AnswerReader
from app.upstream.formats.request import RequestFacts, read_request
from app.upstream.formats.request_detail import RequestDetail, request_detail
from app.upstream.formats.safe import SafeReader
from app.upstream.formats.stream_usage import add_stream_usage

__all__ = [
    "FORMAT_BY_ENDPOINT",
    "Reader",
    "RequestDetail",
    "RequestFacts",
    "SafeReader",
    "add_stream_usage",
    "read_request",
    "reader_for",
    "request_detail",
]

FORMAT_BY_ENDPOINT = {
    "chat.completions": "openai-chat",
    "completions": "openai-completions",
    "responses": "openai-responses",
    "embeddings": "openai-embeddings",
    "messages": "anthropic-messages",
    "messages.count_tokens": "anthropic-messages",
    "moderations": "openai-moderations",
    "images.generations": "openai-images",
    "audio.speech": "openai-audio",
    "audio.transcriptions": "openai-audio",
    "audio.translations": "openai-audio",
}
"""The wire format of a request by the ledger's name of its endpoint; the same for every provider that has it."""

_READERS: dict[str, type[AnswerReader]] = {
    "openai-chat": ChatReader,
    "openai-completions": ChatReader,
    "openai-responses": ResponsesReader,
    "openai-embeddings": UsageReader,
    "openai-images": UsageReader,
    "openai-audio": UsageReader,
    "anthropic-messages": MessagesReader,
}
_EDITED = frozenset(("openai-chat", "openai-completions"))
_UNREADABLE = ("audio/", "image/", "video/", "application/octet-stream", "application/zip", "text/html")


class Reader(Protocol):
    """Fed with the answer as it passes; never raises. See `AnswerReader`."""

    @property
    def reply(self) -> Reply:
        """What was learned so far."""
        ...

    @property
    def terminal(self) -> bool:
        """A terminal event of the format, or the end of a whole body, was seen."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client now: `chunk` itself, or with what Lectr had asked for taken out."""
        ...

    def finish(self) -> bytes:
        """End of the answer: bytes still held back."""
        ...


def reader_for(format: str | None, *, content_type: str = "", usage_added: bool = False) -> AnswerReader | None:
    """A fresh reader for one answer, None if the format or the content type holds nothing to read.

    `usage_added` only matters for chat and legacy completions, the formats where Lectr may ask for usage itself.
    """
    reader = _READERS.get(format or "")
    kind = content_type.strip().lower()
    if reader is None or kind.startswith(_UNREADABLE) or (format == "openai-audio" and kind.startswith("text/plain")):
        return None
    return reader(usage_added=usage_added and format in _EDITED)
