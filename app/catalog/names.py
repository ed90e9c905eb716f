"""Model names: how they are compared, and which endings may be taken off to find a price."""

import re

MAX_NAME_CHARACTERS = 200

_MONTH_AND_DAY = r"(?:0[1-9]|1[0-2]){dash}(?:0[1-9]|[12][0-9]|3[01])"
_DATED = re.compile(
    rf"(.+)-(?:20[0-9]{{2}}-{_MONTH_AND_DAY.format(dash='-')}|20[0-9]{{2}}{_MONTH_AND_DAY.format(dash='')}|latest)"
)
_GEMINI_NUMBERED = re.compile(r"(.+)-00[0-9]")


def normalise(name: str) -> str:
    """`name` as the registry compares it: trimmed, lower-case, without a leading `models/`."""
    return name.strip().lower().removeprefix("models/")


def is_name(name: str) -> bool:
    """True if `name` can stand in the registry: normalised already, printable, without spaces, not too long."""
    return (
        0 < len(name) <= MAX_NAME_CHARACTERS
        and name == normalise(name)
        and name.isprintable()
        and not any(character.isspace() for character in name)
    )


def without_date(name: str, provider: str) -> str | None:
    """`name` without an ending that only dates it (`-2024-07-18`, `-20240718`, `-latest`, Gemini's `-001`).

    None where there is no such ending. Four digits (`-1106`) name a model of its own and are never taken off.
    """
    if len(name) > MAX_NAME_CHARACTERS:
        return None
    found = _DATED.fullmatch(name)
    if found is None and provider == "gemini":
        found = _GEMINI_NUMBERED.fullmatch(name)
    return found[1] if found else None


def fine_tune_base(name: str) -> str | None:
    """`ft:<base>` of a fine-tuned model's name `ft:<base>:<org>:<name>:<id>`; None for any other name."""
    if not name.startswith("ft:"):
        return None
    base, _, _ = name[3:].partition(":")
    return f"ft:{base}" if base else None
