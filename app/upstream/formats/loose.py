"""Reads what a provider wrote even where it is not quite what its format promises.

The typed decoders of the formats are fast and strict; what they refuse is read again here, field by field, and
whatever has the wrong type is taken as absent.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

_MAX_NAME_CHARACTERS = 256
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_MOST_DIGITS = 4
_DECODE = json.JSONDecoder(strict=False).raw_decode


def loose_json(data: bytes) -> Any | None:
    """`data` as plain objects, or None if it is no JSON. Takes lone surrogates, NaN and numbers out of range."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        return json.loads(data, strict=False)
    except (ValueError, RecursionError):
        return None


def text_in(fields: Any, key: str) -> str | None:
    """The text under `key`, None if there is none or it is empty."""
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, str) and value else None


def fields_in(fields: Any, key: str) -> dict[str, Any] | None:
    """The object under `key`, None if there is none or it is empty."""
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, dict) and value else None


def items_in(fields: Any, key: str) -> list[Any]:
    """The array under `key`, empty if there is none."""
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, list) else []


def short(name: str) -> str:
    """A model id or tier as far as the ledger keeps it."""
    return name if len(name) <= _MAX_NAME_CHARACTERS else name[:_MAX_NAME_CHARACTERS]


def is_code(value: Any) -> bool:
    """True for what can be an error's name, such as `rate_limit_exceeded`. A key that is said back has more digits."""
    return isinstance(value, str) and bool(_CODE.fullmatch(value)) and sum(map(str.isdigit, value)) <= _MOST_DIGITS


def error_name(document: Any) -> str | None:
    """The code, else the type or status, of an error object as any of the five providers writes it; else None."""
    if isinstance(document, list):
        document = document[0] if document else None
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):
        return "error"
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    for value in (code, error.get("type"), error.get("status")):
        if is_code(value) and not str(value).isdigit():
            return str(value)
    number = code if isinstance(code, int) else code if is_code(code) else None
    return str(number)[:20] if number else "error"


def salvage(head: bytes, tail: bytes) -> dict[str, Any]:
    """`usage`, `model` and `service_tier` out of the ends of a body too long to be kept whole.

    Quotes inside strings are escaped on the wire, so an unescaped `"usage"` is a key; the last one that holds
    counters is taken, since every format writes its usage behind its content.
    """
    found: dict[str, Any] = {}
    usage = _last_value(tail, b'"usage"', _holds_counters)
    if usage is not None:
        found["usage"] = usage
    for key in ("model", "service_tier"):
        quoted = f'"{key}"'.encode()
        value = _last_value(head, quoted, _is_text) or _last_value(tail, quoted, _is_text)
        if value is not None:
            found[key] = value
    return found


def _holds_counters(value: Any) -> bool:
    return isinstance(value, dict) and any(key.endswith("_tokens") or key == "seconds" for key in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _last_value(text: bytes, key: bytes, accepted: Callable[[Any], bool]) -> Any | None:
    end = len(text)
    for _ in range(16):
        at = text.rfind(key, 0, end)
        if at < 0:
            return None
        end = at
        after = text[at + len(key) :].lstrip()
        if text[at - 1 : at] == b"\\" or not after.startswith(b":"):
            continue
        try:
            value, _ = _DECODE(after[1:].lstrip().decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if accepted(value):
            return value
    return None
