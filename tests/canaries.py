"""Secrets of every suite, made so that any piece of one shows, and the sweep of what the suites leave behind.

Each canary begins, after its provider's prefix, and ends with the same mark: the mark is in its first 20 characters,
in its last 20, in its URL-encoded form, and, in one of three alignments, in its base64.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

MARK = "zQ9xCan"


def canary(name: str, prefix: str = "") -> str:
    """A secret of this name."""
    middle = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:12]
    return f"{prefix}{MARK}{middle}{MARK}"


PREFIXES = {"openai": "sk-proj-", "anthropic": "sk-ant-api03-", "groq": "gsk_", "gemini": "AIza", "azure": ""}
CALLER = canary("caller", "sk-")
ADMIN, API_ADMIN, STAGE_ADMIN, STAGE_SECRET = (canary(name) for name in ("admin", "api", "stage", "stage-secret"))
PROMPT = canary("prompt")
SHAPES = {name: canary(f"shape-{name}", prefix) for name, prefix in PREFIXES.items() if prefix}
BOX = {name: canary(f"box-{name}", prefix) for name, prefix in PREFIXES.items()}
SDK = {name: canary(f"sdk-{name}", PREFIXES[name]) for name in ("anthropic", "groq")}
PROCESS = {name: [canary(f"process-{name}{at}", prefix) for at in range(4)] for name, prefix in PREFIXES.items()}
CLIENT_BOX, FAKE = (canary(name, "sk-") for name in ("client-box", "fake"))
ALL = (
    CALLER, ADMIN, API_ADMIN, STAGE_ADMIN, STAGE_SECRET, PROMPT, CLIENT_BOX, FAKE,
    *SHAPES.values(), *BOX.values(), *SDK.values(), *(key for keys in PROCESS.values() for key in keys),
)  # fmt: skip


def _base64_marks() -> Iterator[bytes]:
    mark = MARK.encode()
    for before in range(3):
        # Only what no neighbouring byte changes.
        coded = base64.b64encode(b"\0" * before + mark + b"\0" * (-(before + len(mark)) % 3))
        first, last = -(-before * 8 // 6), (before + len(mark)) * 8 // 6
        yield coded[first:last]


TELLING = (MARK.encode(), *_base64_marks())


def shows(data: bytes) -> bool:
    """True if a piece of a canary, raw or in base64, is in these bytes."""
    return any(mark in data for mark in TELLING)


def sweep(folder: Path) -> list[str]:
    """The files below `folder` in which a canary shows."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            if shows(path.read_bytes()):
                found.append(str(path.relative_to(folder)))
        except OSError:
            continue
    return found
