"""All tables of the ledger, for any database SQLAlchemy speaks.

A request is a narrow row of numbers that points at two dimension tables: `groups` (everything reports filter and
group by) and `details` (the other short texts). Both repeat so much that a few hundred rows describe a million
requests: docs/decisions/0003-ledger-row.md has the measurements. Times are UTC microseconds, days are counted from
1970-01-01, money is whole pico-dollars.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, String, Table, Text

from app.ledger.histogram import BUCKETS

METADATA = MetaData()

TOKEN_COLUMNS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
COUNT_COLUMNS = ("requests", "billable", "priced", "estimated", "failed")
PAIRED_COLUMNS = ("cost", "estimated_cost", *TOKEN_COLUMNS)
"""Sums in `facet_sums` that are kept as two halves of 32 bits."""
HISTOGRAM_COLUMNS = tuple(f"duration_{number:02d}" for number in range(BUCKETS))

FREE, PRICED, UNPRICED = 0, 1, 2
"""Values of `groups.priced`: not billable, billable with a cost, billable without."""


def _serial() -> "Column[int]":
    """An id the database counts up: SQLite only does so for plain INTEGER."""
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


groups = Table(
    "groups",
    METADATA,
    _serial(),
    Column("digest", LargeBinary(16), nullable=False, unique=True),
    Column("key", String(100), nullable=False),
    Column("provider", String(100)),
    Column("model", String(200)),
    Column("feature", String(100)),
    Column("task", String(100)),
    Column("endpoint", String(100), nullable=False),
    Column("streamed", SmallInteger, nullable=False),
    Column("status", Integer),
    Column("outcome", String(100), nullable=False),
    Column("priced", SmallInteger, nullable=False),
    Column("estimated", SmallInteger, nullable=False),
    Column("failed", SmallInteger, nullable=False),
)

details = Table(
    "details",
    METADATA,
    _serial(),
    Column("digest", LargeBinary(16), nullable=False, unique=True),
    Column("detected_by", String(100)),
    Column("flags", String(300), nullable=False),
    Column("response_model", String(200)),
    Column("error_code", String(100)),
    Column("error_source", String(100)),
    Column("usage_source", String(100), nullable=False),
    Column("service_tier", String(100)),
    Column("cost_reason", String(100)),
    Column("price_entry", String(300)),
    Column("used", String(300), nullable=False),
)

requests = Table(
    "requests",
    METADATA,
    Column("id", LargeBinary(16), primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("detail_id", BigInteger, nullable=False),
    Column("started_offset_us", BigInteger, nullable=False),
    Column("elapsed_us", BigInteger, nullable=False),
    Column("ttfb_ms", BigInteger),
    Column("duration_ms", BigInteger, nullable=False),
    Column("overhead_us", BigInteger, nullable=False),
    *(Column(name, BigInteger) for name in TOKEN_COLUMNS),
    Column("cost_picousd", BigInteger),
    Column("prompt_bytes", BigInteger, nullable=False),
    Column("usage", LargeBinary),
    Column("provider_request_id", String(200)),
    # With cost and duration in it, a page in their order touches no row that is not on the page.
    Index("requests_by_group", "group_id", "id", "cost_picousd", "duration_ms"),
    sqlite_with_rowid=False,
)

ledger_parked = Table(
    "ledger_parked",
    METADATA,
    _serial(),
    Column("parked_at_us", BigInteger, nullable=False),
    Column("reason", String(300), nullable=False),
    Column("entry", Text, nullable=False),
)

calendars = Table(
    "calendars",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("zone", String(100), nullable=False),
    Column("built_from_day", Integer, nullable=False),
)

rollup = Table(
    "rollup",
    METADATA,
    Column("calendar", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    Column("cost_high", BigInteger, nullable=False),
    Column("cost_low", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in TOKEN_COLUMNS),
    *(Column(name, BigInteger, nullable=False) for name in HISTOGRAM_COLUMNS),
    Column("cost_most", BigInteger, nullable=False),
    Column("cost_least", BigInteger, nullable=False),
    Column("duration_most", BigInteger, nullable=False),
    Column("duration_least", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

facet_sums = Table(
    "facet_sums",
    METADATA,
    Column("calendar", Integer, primary_key=True, autoincrement=False),
    Column("facet", SmallInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("value", String(200), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in COUNT_COLUMNS),
    *(Column(f"{name}_{half}", BigInteger, nullable=False) for name in PAIRED_COLUMNS for half in ("high", "low")),
    *(Column(name, BigInteger, nullable=False) for name in HISTOGRAM_COLUMNS),
    sqlite_with_rowid=False,
)

rollup_carry = Table(
    "rollup_carry",
    METADATA,
    Column("calendar", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in TOKEN_COLUMNS),
    sqlite_with_rowid=False,
)

reprice_log = Table(
    "reprice_log",
    METADATA,
    _serial(),
    Column("request_id", LargeBinary(16), nullable=False),
    Column("repriced_at_us", BigInteger, nullable=False),
    Column("old_cost_picousd", BigInteger),
    Column("old_cost_reason", String(100)),
    Column("old_price_entry", String(300)),
    Column("new_cost_picousd", BigInteger),
    Column("new_cost_reason", String(100)),
    Column("new_price_entry", String(300)),
)

keys = Table(
    "keys",
    METADATA,
    _serial(),
    Column("name", String(100), nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("hint", String(4), nullable=False),
    Column("default_provider", String(100)),
    Column("default_feature", String(100)),
    Column("requests_per_minute", Integer),
    Column("concurrent_streams", Integer),
    Column("created_at_us", BigInteger, nullable=False),
    Column("revoked_at_us", BigInteger),
    Column("last_used_at_us", BigInteger),
)

users = Table(
    "users",
    METADATA,
    _serial(),
    Column("name", String(100), nullable=False, unique=True),
    Column("password", String(300), nullable=False),
    Column("role", String(20), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("created_at_us", BigInteger, nullable=False),
    Column("last_seen_at_us", BigInteger, nullable=False),
)

sign_in_tries = Table(
    "sign_in_tries",
    METADATA,
    Column("name_digest", LargeBinary(16), primary_key=True),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

sign_in_links = Table(
    "sign_in_links",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("expires_at_us", BigInteger, nullable=False),
)

team_values = Table(
    "team_values",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

team_files = Table(
    "team_files",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("stored_at_us", BigInteger, nullable=False),
)

overrides = Table(
    "overrides",
    METADATA,
    _serial(),
    Column("kind", String(20), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("model", String(200), nullable=False),
    Column("alias", String(200)),
    Column("rates", Text, nullable=False),
    Column("starts", String(10)),
    Column("note", String(300), nullable=False),
)

changes = Table(
    "changes",
    METADATA,
    Column("kind", String(20), primary_key=True),
    Column("generation", BigInteger, nullable=False),
)

schema_info = Table(
    "schema_info",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("value", String(100), nullable=False),
)
