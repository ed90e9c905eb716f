"""The provider's usage object as the ledger keeps it: numbers, tiers and model ids, never free text.

What is kept splits into the same buckets again, so that a row can be priced anew long after its answer is gone.
"""

import json
import math
import re
from functools import lru_cache
from typing import Any

import msgspec

from app.domain import Reply, Usage
from app.metering.buckets import split
from app.metering.counters import MAX_COUNT, as_number, plain_name

MAX_BYTES = 8 * 1024
SEARCHES_KEY = "lectr_web_search_calls"
CHARACTERS_KEY = "lectr_input_characters"

_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_MAX_KEY_CHARACTERS = 64
_TEXT_KEYS = frozenset(("service_tier", "model", "type", "speed", "inference_geo"))
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder().decode
# What is kept just as it came, nearly always: plain keys with counts, times, tiers or one object of those.
_PLAIN_VALUE = (
    rb'(?:"(?:service_tier|model|type|speed|inference_geo)":"[A-Za-z0-9_.:/@-]{1,256}"'
    rb'|"(?!(?:service_tier|model|type|speed|inference_geo)")[A-Za-z0-9_.-]{1,64}":%b)'
)
_NUMBER = rb"\d{1,15}(?:\.\d{1,20})?(?:e-\d{1,3})?"
_INNER = rb"\{(?:\}|(?:" + _PLAIN_VALUE % _NUMBER + rb"[,}])+)"
_PLAIN = re.compile(rb"\{(?:" + _PLAIN_VALUE % (rb"(?:" + _NUMBER + rb"|" + _INNER + rb")") + rb"[,}])+")
_PLAIN_BYTES = 1024
_MAX_DEPTH = 6
_MAX_KEYS = 200
_MAX_ITEMS = 2000
_COUNTED_PASSES = frozenset(("message", "fallback_message"))


def usage_json(reply: Reply, *, input_characters: int = 0) -> str | None:
    """The usage of one answer as compact JSON of at most 8 KiB, or None where there is nothing to keep.

    The provider's keys keep their names at the top level; what Lectr counted itself stands under `lectr_…` keys.
    """
    try:
        if reply.usage and not reply.web_search_calls and not input_characters:
            plain = _ENCODE(reply.usage)
            if len(plain) <= _PLAIN_BYTES and _PLAIN.fullmatch(plain):
                return plain.decode()
        kept = _kept(reply.usage, 0) if reply.usage else {}
    except Exception:
        return None
    if reply.web_search_calls:
        kept[SEARCHES_KEY] = reply.web_search_calls
    if input_characters:
        kept[CHARACTERS_KEY] = input_characters
    if not kept:
        return None
    for shorter in (_whole, _without_counted_passes, _with_summed_passes, _without_passes):
        text = _ENCODE(shorter(kept)).decode()
        if len(text) <= MAX_BYTES:
            return text
    return None


def usage_from_json(provider: str, endpoint: str, text: str | None) -> Usage | None:
    """The same split as when the answer came, from what `usage_json` kept. Never raises; None = no usage."""
    try:
        usage = _decoded(text) if text else None
        if not isinstance(usage, dict):
            return None
        searches = as_number(usage.pop(SEARCHES_KEY, 0))
        characters = as_number(usage.pop(CHARACTERS_KEY, 0))
        return split(provider, endpoint, usage, int(searches or 0), int(characters or 0))
    except Exception:
        return None


def _decoded(text: str) -> Any:
    try:
        # Four times as fast, which counts where a hundred thousand rows are read again.
        return _DECODE(text)
    except msgspec.DecodeError:
        return json.loads(text)


@lru_cache(maxsize=1024)
def _is_plain(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


def _kept(fields: dict[str, Any], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in fields.items():
        if len(kept) >= _MAX_KEYS or len(key) > _MAX_KEY_CHARACTERS or not _is_plain(key):
            continue
        if type(value) is int and 0 <= value <= MAX_COUNT and key not in _TEXT_KEYS:
            kept[key] = value
            continue
        item = _kept_value(key, value, depth)
        if item is not None:
            kept[key] = item
    return kept


def _kept_value(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return _kept(value, depth + 1) if depth < _MAX_DEPTH else None
    if isinstance(value, list):
        items = [_kept(item, depth + 1) for item in value[:_MAX_ITEMS] if isinstance(item, dict)]
        return items if depth < _MAX_DEPTH and items else None
    if key in _TEXT_KEYS:
        return plain_name(value)
    number = as_number(value)
    if number is None:
        return None
    # JSON has no infinity and no NaN: the nearest numbers that are mended in the same way when read again.
    if isinstance(number, float) and not math.isfinite(number):
        return 2 * MAX_COUNT if number > 0 else -1
    return number if abs(number) <= MAX_COUNT else (2 * MAX_COUNT if number > 0 else -1)


def _whole(kept: dict[str, Any]) -> dict[str, Any]:
    return kept


def _without_counted_passes(kept: dict[str, Any]) -> dict[str, Any]:
    # Passes that the top level already counts are only there to be read by people.
    passes = kept.get("iterations")
    if not isinstance(passes, list):
        return kept
    return {**kept, "iterations": [item for item in passes if item.get("type") not in _COUNTED_PASSES]}


def _with_summed_passes(kept: dict[str, Any]) -> dict[str, Any]:
    passes = _without_counted_passes(kept).get("iterations")
    if not isinstance(passes, list):
        return kept
    sums: dict[tuple[Any, Any], dict[str, Any]] = {}
    for item in passes:
        total = sums.setdefault((item.get("type"), item.get("model")), {})
        _add(total, item)
    return {**kept, "iterations": list(sums.values())}


def _add(total: dict[str, Any], item: dict[str, Any]) -> None:
    for key, value in item.items():
        if isinstance(value, dict):
            _add(total.setdefault(key, {}), value)
        elif isinstance(value, int | float):
            total[key] = total.get(key, 0) + value
        else:
            total[key] = value


def _without_passes(kept: dict[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in kept.items() if not isinstance(value, list)}
    return {key: value for key, value in known.items() if not isinstance(value, dict) or key.endswith(_SUB_OBJECTS)}


_SUB_OBJECTS = ("_details", "cache_creation", "server_tool_use")
