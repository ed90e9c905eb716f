"""The registry as it is once loaded: providers, models, dated prices, lifecycle, capabilities, downgrades.

Rates are keyed by unit (`input_mtok`, `cache_read_mtok`, …; UNITS gives how many units the rate is for) and are
`Decimal` US dollars. The TOML and JSON shapes of the files themselves are described in registry/README.md.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import msgspec

Rates = Mapping[str, Decimal]

UNITS: Mapping[str, int] = {
    "input_mtok": 1_000_000,
    "output_mtok": 1_000_000,
    "cache_read_mtok": 1_000_000,
    "cache_write_mtok": 1_000_000,
    "cache_write_5m_mtok": 1_000_000,
    "cache_write_1h_mtok": 1_000_000,
    "cache_write_12h_mtok": 1_000_000,
    "input_text_mtok": 1_000_000,
    "output_text_mtok": 1_000_000,
    "input_audio_mtok": 1_000_000,
    "output_audio_mtok": 1_000_000,
    "cache_audio_read_mtok": 1_000_000,
    "input_image_mtok": 1_000_000,
    "output_image_mtok": 1_000_000,
    "cache_image_read_mtok": 1_000_000,
    "input_video_mtok": 1_000_000,
    "output_video_mtok": 1_000_000,
    "input_mchars": 1_000_000,
    "audio_hours": 3600,
    "input_audio_hours": 3600,
    "web_searches_kcount": 1000,
    "storage_searches_kcount": 1000,
    "code_executions_kcount": 1000,
    "requests_kcount": 1000,
}


class ContextTier(msgspec.Struct, frozen=True):
    """Rates of the whole request once its total input is over `over_input_tokens` (strictly more)."""

    over_input_tokens: int
    rates: Rates


class Price(msgspec.Struct, frozen=True):
    """One dated price. `entry` names it on every row it priced; `starts` None = since always.

    `when` is empty for the standard price; otherwise every pair must hold of the answer
    (`{"service_tier": "flex"}`, `{"speed": "fast"}`, `{"processing": "batch"}`).
    """

    entry: str
    starts: date | None
    rates: Rates
    tiers: tuple[ContextTier, ...] = ()
    when: Mapping[str, str] = {}
    source: str = ""
    checked: date | None = None


class Lifecycle(msgspec.Struct, frozen=True):
    """`status` is what the provider says of the model: alive, deprecated, retired, or unknown where no source says.

    `ends` is the first day on which the provider serves it no more.
    """

    status: str = "alive"
    ends: date | None = None
    replacement: str | None = None
    source: str = ""
    checked: date | None = None

    def alive_on(self, day: date) -> bool:
        """True if the provider serves the model on `day`: a model that ends on a day is gone on that day.

        Of a model with status `unknown` nobody says that it lives, so it does not count as alive.
        """
        if self.ends is not None:
            return day < self.ends
        return self.status in ("alive", "deprecated")


class Capabilities(msgspec.Struct, frozen=True):
    """What a model can do; None = not known, which never counts as fit."""

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    images: bool | None = None
    audio: bool | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    json_mode: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    source: str = ""
    checked: date | None = None


class Downgrades(msgspec.Struct, frozen=True):
    """Cheaper models of the same provider by bare id: one step (`conservative`), or further (`aggressive`).

    `listed` is the product's fixed table; `living` are those among today's models.
    """

    conservative: str | None = None
    moderate: str | None = None
    aggressive: str | None = None


class Model(msgspec.Struct, frozen=True):
    """One model of one provider. `prices` are sorted by `starts`; `overridden` marks a team override.

    `served` is False where the price list names it under this provider, but the provider never had that id:
    such a model is shown and never found by name.
    """

    provider: str
    id: str
    aliases: tuple[str, ...] = ()
    mode: str = "chat"
    prices: tuple[Price, ...] = ()
    lifecycle: Lifecycle = Lifecycle()
    capabilities: Capabilities = Capabilities()
    routing_target: bool = False
    listed: Downgrades | None = None
    living: Downgrades | None = None
    overridden: bool = False
    served: bool = True


class MatchClauses(msgspec.Struct, frozen=True):
    """How a provider's model names are recognised when the registry does not list them (rule `prefix`).

    `prefixes` are plain, `patterns` anchored regular expressions; a name that matches `never` is not the provider's.
    """

    prefixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class Provider(msgspec.Struct, frozen=True):
    """One provider: how it is recognised, reached and authorised, and what it serves.

    `endpoints` maps a ledger endpoint name (`chat.completions`) to its wire format (`openai-chat`) or "" where
    nothing is read. `path_prefix` stands upstream where the client wrote `/v1`: `/v1` for most (Groq's `base_url`
    already ends in `/openai`), "" for Gemini, `/openai/v1` for Azure without an API version. `auth` is `bearer`,
    `x-api-key` or `api-key`; `auth_by_endpoint` names the endpoints that differ.
    """

    id: str
    name: str
    base_url: str
    base_url_setting: str
    key_setting: str
    path_prefix: str
    auth: str
    auth_by_endpoint: Mapping[str, str]
    detection_note: str
    endpoint_note: str
    endpoints: Mapping[str, str]
    match: MatchClauses
    key_prefixes: tuple[str, ...] = ()
    asks_for_stream_usage: bool = False
    default_headers: Mapping[str, str] = {}
    catalog_from: tuple[str, ...] = ()
    """Providers whose models and prices are looked up after the own ones (azure: openai, anthropic)."""


class Override(msgspec.Struct, frozen=True):
    """A team's own alias or price. `kind` is `alias` (name -> model) or `price` (model, rates, starts)."""

    id: int
    kind: str
    provider: str
    model: str
    alias: str | None = None
    rates: Mapping[str, Decimal] = {}
    starts: date | None = None
    note: str = ""
