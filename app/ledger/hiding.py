"""A key that comes back as the name of something is not written down.

A provider may say a key back as its model, its tier or its request id, and a caller may put one into the wrong
field. So what a row keeps of free text is held against the keys of its own request before the ledger sees it.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from app.domain import LedgerEntry
from app.ledger.started import Started

HIDDEN = "[key]"
_SHORTEST = 12
"""No provider's key is shorter, and what is could be a part of any model's name."""
_PART = 20
"""So much of a key gives it away: who cuts one shows its beginning or its end."""
_REMEMBERED = 1024
"""Keys whose parts are at hand: to make them costs 2 us, to look them up a tenth of that."""
_LECTR_KEY = "lc_key_"
_LECTR_KEYS = re.compile(_LECTR_KEY + r"\w+")


def telling_parts(keys: Iterable[str | None]) -> list[str]:
    """What gives these keys away, and any Lectr key."""
    parts = [_LECTR_KEY]
    for key in keys:
        if key is not None and len(key) >= _SHORTEST:
            parts += _parts_of(key)
    return parts


@lru_cache(_REMEMBERED)
def _parts_of(key: str) -> tuple[str, ...]:
    """Beginning and end of a key, and its beginning as it reads within base64, wherever in there the key stands."""
    ends = (key[:_PART], key[-_PART:]) if len(key) > _PART else (key,)
    beginning = key[:_PART].encode("utf-8", "surrogatepass")
    return ends + tuple(_within_base64(beginning, before) for before in range(3))


def _within_base64(text: bytes, before: int) -> str:
    """The base64 digits that `text` alone decides where so many bytes, or three more or six, stand before it."""
    digits = b2a_base64(bytes(before) + text)
    return digits[-(-before * 8 // 6) : (before + len(text)) * 8 // 6].decode()


def hide_in_row(entry: LedgerEntry, parts: list[str]) -> None:
    """Put `[key]` in the place of each word with one of the `telling_parts` in it, in all texts of a row."""
    texts = f"{entry.request_model}\n{entry.response_model}\n{entry.error_code}\n{entry.service_tier}\n"
    texts += f"{entry.usage_json}\n{entry.feature}\n{entry.task}\n{entry.provider_request_id}"
    if not _any(parts, texts):
        return
    for name in (
        "request_model", "response_model", "error_code", "service_tier", "usage_json", "feature", "task",
        "provider_request_id",
    ):  # fmt: skip
        setattr(entry, name, _hidden(getattr(entry, name), parts))
    if entry.usage_json is not None and not _is_json(entry.usage_json):
        # Something that was called a key was a number of tokens, too: one such row would break every export.
        entry.usage_json = None


def hide_in_start(started: Started, parts: list[str]) -> Started:
    """The same for what is noted before the request goes out."""
    if not _any(parts, f"{started.request_model}\n{started.feature}\n{started.task}"):
        return started
    return msgspec.structs.replace(
        started,
        request_model=_hidden(started.request_model, parts),
        feature=_hidden(started.feature, parts),
        task=_hidden(started.task, parts),
    )


def _any(parts: list[str], text: str) -> bool:
    # A loop, not any(): that is most of what this costs each request.
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _hidden(text: str | None, parts: list[str]) -> str | None:
    if text is None:
        return None
    for part in parts:
        # What follows the part, or stands before it, is the rest of the key.
        text = re.sub(rf"[\w.\-]*{re.escape(part)}[\w.\-]*", HIDDEN, text)
    return _LECTR_KEYS.sub(HIDDEN, text)
