"""Makes any text fit for any database: no NUL, no lone surrogates, cut to the column's size."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str, limit: int) -> str:
    """`text` without NUL characters, lone surrogates replaced by U+FFFD, at most `limit` characters."""
    if "\0" in text:
        text = text.replace("\0", "")
    if len(text) > limit:
        text = text[:limit]
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def storable_or_none(text: str | None, limit: int) -> str | None:
    """As `storable`; None stays None, and an empty text counts as none."""
    return (storable(text, limit) or None) if text else None
