"""What must be known of a request before it is sent: its model, whether it streams, whether it asks for usage.

The body is decoded once into the few fields that are read; it is forwarded as it came. Everything a provider could
read differently than Lectr does (a key given twice, bytes that are no UTF-8) is refused, so that what is recorded is
what was asked for.
"""

import json
from typing import Any

import msgspec

from app.errors import RequestRejected
from app.upstream.formats.multipart import form_fields
from app.upstream.formats.repeats import could_repeat

MAX_DEPTH = 128
MAX_MODEL_CHARACTERS = 200
"""As many as the ledger keeps: what is recorded is what was asked for."""

MODEL_NEEDED = frozenset(
    (
        "chat.completions",
        "completions",
        "embeddings",
        "messages",
        "messages.count_tokens",
        "audio.speech",
        "audio.transcriptions",
        "audio.translations",
    )
)
_MODEL_OPTIONAL = frozenset(("responses", "moderations", "images.generations"))
_KEYS = ("model", "stream", "stream_options")


class RequestFacts(msgspec.Struct, frozen=True):
    """What is read of a request before it is sent. `asks_usage` is True if its stream brings usage by itself."""

    model: str | None = None
    stream: bool = False
    asks_usage: bool = False
    prompt_bytes: int = 0
    used: tuple[str, ...] = ()
    input_characters: int = 0


class _Head(msgspec.Struct):
    model: Any = None
    stream: Any = None
    stream_options: Any = None


_DECODE_HEAD = msgspec.json.Decoder(_Head).decode


def read_request(
    format: str | None,
    endpoint: str,
    body: bytes,
    *,
    content_type: str = "application/json",
    deployment: str | None = None,
) -> RequestFacts:
    """The facts of one request; `endpoint` is its ledger name, `deployment` the model where the path names it.

    `prompt_bytes`, `used` and `input_characters` stay empty: `request_detail` reads them after the request is sent.
    Raises RequestRejected (400 `invalid_request`) on a body that cannot be served; never for endpoint `other`.
    """
    if endpoint not in MODEL_NEEDED and endpoint not in _MODEL_OPTIONAL:
        return _facts_if_any(body)
    if content_type[:19].lower() == "multipart/form-data":
        model, stream = _form_model(body, content_type)
        asks_usage = False
    else:
        head = _head_of(body)
        model, stream = _model_of(head.model), _stream_of(head.stream)
        options = head.stream_options
        asks_usage = isinstance(options, dict) and options.get("include_usage") is True
    model = model or deployment
    if model is None and endpoint in MODEL_NEEDED:
        raise _rejected("The request names no model: add the field `model`.")
    return RequestFacts(model=model, stream=stream, asks_usage=asks_usage)


def _rejected(sentence: str) -> RequestRejected:
    return RequestRejected(400, "invalid_request", sentence)


def _facts_if_any(body: bytes) -> RequestFacts:
    try:
        head = _DECODE_HEAD(body)
        return RequestFacts(_model_of(head.model), head.stream is True)
    except (msgspec.MsgspecError, RecursionError, RequestRejected):
        return RequestFacts()


def _head_of(body: bytes) -> _Head:
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _rejected(f"The request body is not valid UTF-8 (byte {error.start}).") from None
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MAX_DEPTH and _deeper_than(body, MAX_DEPTH, brackets):
        raise _rejected(f"The request body is nested deeper than {MAX_DEPTH} levels.")
    try:
        head = _DECODE_HEAD(body)
    except msgspec.ValidationError:
        raise _rejected("The request body must be a JSON object.") from None
    except (msgspec.MsgspecError, RecursionError):
        return _odd_head(body)
    if could_repeat(body):
        _refuse_repeats(body)
    return head


def _odd_head(body: bytes) -> _Head:
    # msgspec refuses lone surrogates in strings, which JavaScript sends and providers take.
    try:
        # Decoded first: from bytes the json module would take a byte order mark, and UTF-16 too.
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise _rejected("The request body is not valid JSON.") from error
    if not isinstance(document, _Pairs):
        raise _rejected("The request body must be a JSON object.")
    document.refuse_repeats()
    fields = dict(document.pairs)
    options = fields.get("stream_options")
    model = fields.get("model")
    if isinstance(model, str) and not model.isascii():
        model = model.encode("utf-8", "replace").decode("utf-8")
    return _Head(
        model=model,
        stream=fields.get("stream"),
        stream_options=dict(options.pairs) if isinstance(options, _Pairs) else options,
    )


class _Pairs:
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs

    def refuse_repeats(self) -> None:
        names = [name for name, _ in self.pairs if name in _KEYS]
        for key in _KEYS:
            if names.count(key) > 1:
                raise _rejected(f"The request gives `{key}` twice.")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _refuse_repeats(body: bytes) -> None:
    try:
        document = json.loads(body, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return
    if isinstance(document, _Pairs):
        document.refuse_repeats()


def _model_of(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise _rejected("`model` must be a text that is not empty.")
    if len(value) > MAX_MODEL_CHARACTERS:
        raise _rejected(f"`model` is longer than {MAX_MODEL_CHARACTERS} characters.")
    return value


def _stream_of(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _rejected("`stream` must be true or false.")


def _form_model(body: bytes, content_type: str) -> tuple[str | None, bool]:
    fields = form_fields(body, content_type, _KEYS)
    if fields is None:
        raise _rejected("The multipart body has no boundary, or none of its parts could be read.")
    for key in _KEYS:
        if len(fields.get(key, ())) > 1:
            raise _rejected(f"The request gives `{key}` twice.")
    model = fields.get("model", [None])[0]
    stream = (fields.get("stream", [None])[0] or "").strip().lower()
    return _model_of(model), stream in ("true", "1", "yes", "on")


def _deeper_than(body: bytes, levels: int, brackets: int) -> bool:
    """True if arrays and objects outside of strings are nested deeper than `levels`."""
    if brackets > _MANY_BRACKETS:
        return _scan_deeper_than(body, levels)
    try:
        level = [msgspec.json.decode(body)]
    except RecursionError:
        return True
    except msgspec.MsgspecError:
        return _scan_deeper_than(body, levels)
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node if type(node) is list else ())
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _scan_deeper_than(body: bytes, levels: int) -> bool:
    # Makes no objects, so that a body of nothing but brackets costs no memory. Without escapes every second part
    # between quotes is structure.
    structure = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    depth = 0
    for bracket in structure.translate(_BRACKETS, _NO_BRACKETS):
        if bracket:
            depth += 1
            if depth > levels:
                return True
        else:
            depth -= 1
    return False


_MANY_BRACKETS = 10_000
_BRACKETS = bytes(1 if byte in b"[{" else 0 for byte in range(256))
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
