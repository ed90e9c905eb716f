"""The values that pass between Lectr's stages.

Each stage takes and returns these and knows no other stage: edge builds an `InboundRequest`, detection a
`Detection`, upstream a `Reply`, metering a `Usage` and a `Cost`, and the ledger keeps a `LedgerEntry`.
Times are UTC microseconds since the epoch (`*_at_us`), money is whole pico-dollars (`*_picousd`).
"""

import random
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

PICOUSD_PER_USD = 10**12
MAX_PICOUSD = 2**63 - 1
TASKS = ("classification", "summarisation", "extraction", "generation", "reasoning")
MAX_LABEL_CHARACTERS = 100

UNMETERED_ENDPOINTS = frozenset(("messages.count_tokens", "moderations", "other"))
"""Endpoints whose requests are recorded and never billed."""

Headers = list[tuple[bytes, bytes]]
"""Header fields in wire order; names lower-case."""


def usd_text(picousd: int) -> str:
    """Pico-dollars as an exact decimal string of dollars without an exponent: 150000 -> "0.00000015"."""
    whole, rest = divmod(abs(picousd), PICOUSD_PER_USD)
    fraction = f"{rest:012d}".rstrip("0")
    return f"{'-' if picousd < 0 else ''}{whole}{'.' + fraction if fraction else ''}"


def new_request_id(started_at_us: int) -> str:
    """A UUIDv7 whose millisecond is `started_at_us`; the bits after it hold the rest of the microsecond.

    Made by Lectr only: a caller's own id is never taken.
    """
    milliseconds, microseconds = divmod(started_at_us, 1000)
    # Not os.urandom: its system call gives up the interpreter lock, and getting it back costs more than the request.
    value = milliseconds << 80 | 0x7000 << 64 | (microseconds << 2) << 64 | 1 << 63 | random.getrandbits(62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Outcome(StrEnum):
    """How a request ended, as the ledger names it."""

    OK = "ok"
    PROVIDER_ERROR = "provider_error"
    CLIENT_CLOSED = "client_closed"
    UPSTREAM_RESET = "upstream_reset"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UNREACHABLE = "unreachable"
    BAD_RESPONSE = "bad_response"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    SERVER_SHUTDOWN = "server_shutdown"


class UsageSource(StrEnum):
    """Where the token counts of a row come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    NONE = "none"


class CostReason(StrEnum):
    """Why a row has no cost."""

    UNKNOWN_MODEL = "unknown_model"
    NO_RATE_FOR_UNIT = "no_rate_for_unit"
    NO_USAGE = "no_usage"
    ENCODED_BODY = "encoded_body"
    IMPLAUSIBLE_USAGE = "implausible_usage"
    READER_FAILED = "reader_failed"


class KeyIdentity(msgspec.Struct, frozen=True):
    """A Lectr key as the request path sees it; `id` is the database id, the secret itself is never kept."""

    id: int
    name: str
    default_provider: str | None = None
    default_feature: str | None = None
    requests_per_minute: int | None = None
    concurrent_streams: int | None = None


class InboundRequest(msgspec.Struct):
    """One accepted call of a program, before anything was decided about it.

    `path` starts with `/v1/` and is canonical (`/v1/v1/` folded, Azure's `/v1/deployments/{name}/` taken out);
    `endpoint` is its ledger name. `query` is without `?` and without `key=`. `body` is what the caller sent.
    """

    id: str
    started_at_us: int
    method: str
    path: str
    query: str
    endpoint: str
    headers: Headers
    body: bytes
    key: KeyIdentity
    model: str | None = None
    stream: bool = False
    feature: str | None = None
    task: str | None = None
    provider_header: str | None = None
    provider_keys: tuple[str, ...] = ()
    deployment: str | None = None


class TraceStep(msgspec.Struct, frozen=True):
    """One detection rule that was tried, and what it said."""

    rule: str
    outcome: str


class Detection(msgspec.Struct, frozen=True):
    """Which provider a request goes to, which rule said so, and every rule that was tried.

    `recognised` is False where only the default answered: the request still goes out, to `provider`.
    """

    provider: str
    detected_by: str
    flags: tuple[str, ...] = ()
    trace: tuple[TraceStep, ...] = ()
    near_misses: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    recognised: bool = True


class Target(msgspec.Struct, frozen=True):
    """Where and how a request goes upstream. `format` names a wire format, None where Lectr reads nothing."""

    provider: str
    format: str | None
    url: str
    headers: Headers
    body: bytes
    usage_added: bool = False


class Reply(msgspec.Struct):
    """What a format's reader learned from one answer, filled while the bytes pass by.

    `usage` is the provider's own usage object, merged as its format demands (Anthropic: the last non-null
    value of each field), not yet split into buckets. `output_characters` counts text received, for estimates.
    `ended` is True once the format's own terminal event or a whole JSON body was seen. `usage_complete` is True
    once `usage` is the provider's last word; before that it holds the counters seen so far.
    """

    response_model: str | None = None
    service_tier: str | None = None
    usage: dict[str, object] | None = None
    output_characters: int = 0
    web_search_calls: int = 0
    provider_error: str | None = None
    ended: bool = False
    reader_failed: bool = False
    usage_complete: bool = False


class Usage(msgspec.Struct, frozen=True):
    """Billable quantities of one request in disjoint buckets.

    `input_tokens` is uncached text input; audio, image and cached input stand in their own buckets.
    `output_tokens` includes reasoning; audio and image output are separate. `reasoning_tokens` is a part of
    `output_tokens` and never billed by itself. `extra_passes` are billed at their own model's price.
    """

    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    cache_write_12h_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cache_read_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    cache_read_image_tokens: int = 0
    web_searches: int = 0
    input_characters: int = 0
    audio_milliseconds: int = 0
    flags: tuple[str, ...] = ()
    modifiers: Mapping[str, str] = {}
    """What else chooses a rate besides the service tier: `speed`, `inference_geo`, `processing`."""
    extra_passes: "tuple[ExtraPass, ...]" = ()
    largest_pass_tokens: int | None = None
    """Input tokens of the largest single pass, where the provider tells the passes apart."""

    @property
    def total_input_tokens(self) -> int:
        """All input tokens, cached and written included: what long-context thresholds are compared with."""
        return (
            self.input_tokens
            + self.cache_read_input_tokens
            + self.cache_write_5m_input_tokens
            + self.cache_write_1h_input_tokens
            + self.cache_write_12h_input_tokens
            + self.input_audio_tokens
            + self.cache_read_audio_tokens
            + self.input_image_tokens
            + self.cache_read_image_tokens
        )


class ExtraPass(msgspec.Struct, frozen=True):
    """A billed pass that the top level of the usage leaves out (Anthropic `iterations`). `model` None = the same."""

    model: str | None
    usage: Usage


class BillLine(msgspec.Struct, frozen=True):
    """One line of a bill: `quantity` units of `bucket` at `rate_usd` per `per` units cost `amount_usd`."""

    bucket: str
    quantity: int
    rate_usd: Decimal
    per: int
    amount_usd: Decimal
    price_entry: str


class Cost(msgspec.Struct, frozen=True):
    """What a request cost: `picousd` is None exactly when `reason` says why it is not known."""

    picousd: int | None
    reason: CostReason | None = None
    price_entry: str | None = None
    flags: tuple[str, ...] = ()
    lines: tuple[BillLine, ...] = ()


class LedgerEntry(msgspec.Struct, kw_only=True):
    """One request as the ledger keeps it; never content. Token counts are None where no usage is known."""

    id: str
    started_at_us: int
    finished_at_us: int
    key: str
    provider: str | None
    detected_by: str | None
    flags: tuple[str, ...] = ()
    request_model: str | None = None
    response_model: str | None = None
    endpoint: str
    streamed: bool = False
    status: int | None = None
    outcome: Outcome
    error_code: str | None = None
    error_source: str | None = None
    ttfb_ms: int | None = None
    duration_ms: int = 0
    overhead_us: int = 0
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_5m_input_tokens: int | None = None
    cache_write_1h_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    usage_json: str | None = None
    usage_source: UsageSource = UsageSource.NONE
    service_tier: str | None = None
    billable: bool = True
    cost_picousd: int | None = None
    cost_reason: CostReason | None = None
    price_entry: str | None = None
    feature: str | None = None
    task: str | None = None
    prompt_bytes: int = 0
    used: tuple[str, ...] = ()
    provider_request_id: str | None = None

    def take_counts(self, usage: Usage) -> None:
        """The counts of a usage that have columns of their own."""
        self.input_tokens = usage.input_tokens
        self.cache_read_input_tokens = usage.cache_read_input_tokens
        self.cache_write_5m_input_tokens = usage.cache_write_5m_input_tokens
        self.cache_write_1h_input_tokens = usage.cache_write_1h_input_tokens
        self.output_tokens = usage.output_tokens
        self.reasoning_tokens = usage.reasoning_tokens
        self.input_audio_tokens = usage.input_audio_tokens
        self.output_audio_tokens = usage.output_audio_tokens
