"""What is known of a request before it goes to its provider: enough for a row, should nothing more ever be known."""

import msgspec


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The first record of a request in the spool. Field meanings are those of LedgerEntry."""

    id: str
    started_at_us: int
    key: str
    provider: str | None = None
    detected_by: str | None = None
    flags: tuple[str, ...] = ()
    request_model: str | None = None
    endpoint: str
    streamed: bool = False
    feature: str | None = None
    task: str | None = None
    prompt_bytes: int = 0
    used: tuple[str, ...] = ()
