"""The first schema: requests, their daily sums, keys, users and team settings."""

import sqlalchemy as sa
from alembic import op

revision = "m0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
PAIRS = tuple(f"{name}_{half}" for name in ("cost", "estimated_cost", *TOKENS) for half in ("high", "low"))
DURATIONS = tuple(f"duration_{number:02d}" for number in range(25))


def upgrade() -> None:
    """Make all tables and the rows every ledger begins with."""
    _dimensions()
    _requests()
    _daily_sums()
    _access()
    _team()
    _first_rows()


def _dimensions() -> None:
    op.create_table(
        "groups",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), nullable=False, unique=True),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("provider", sa.String(100)),
        sa.Column("model", sa.String(200)),
        sa.Column("feature", sa.String(100)),
        sa.Column("task", sa.String(100)),
        sa.Column("endpoint", sa.String(100), nullable=False),
        sa.Column("streamed", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("outcome", sa.String(100), nullable=False),
        sa.Column("priced", sa.SmallInteger(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.Column("failed", sa.SmallInteger(), nullable=False),
    )
    op.create_table(
        "details",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("digest", sa.LargeBinary(16), nullable=False, unique=True),
        sa.Column("detected_by", sa.String(100)),
        sa.Column("flags", sa.String(300), nullable=False),
        sa.Column("response_model", sa.String(200)),
        sa.Column("error_code", sa.String(100)),
        sa.Column("error_source", sa.String(100)),
        sa.Column("usage_source", sa.String(100), nullable=False),
        sa.Column("service_tier", sa.String(100)),
        sa.Column("cost_reason", sa.String(100)),
        sa.Column("price_entry", sa.String(300)),
        sa.Column("used", sa.String(300), nullable=False),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.LargeBinary(16), primary_key=True),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("detail_id", sa.BigInteger(), nullable=False),
        sa.Column("started_offset_us", sa.BigInteger(), nullable=False),
        sa.Column("elapsed_us", sa.BigInteger(), nullable=False),
        sa.Column("ttfb_ms", sa.BigInteger()),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("overhead_us", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in TOKENS),
        sa.Column("cost_picousd", sa.BigInteger()),
        sa.Column("prompt_bytes", sa.BigInteger(), nullable=False),
        sa.Column("usage", sa.LargeBinary()),
        sa.Column("provider_request_id", sa.String(200)),
        sqlite_with_rowid=False,
    )
    op.create_index("requests_by_group", "requests", ["group_id", "id"])
    op.create_table(
        "ledger_parked",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("parked_at_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
    )
    op.create_table(
        "reprice_log",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("request_id", sa.LargeBinary(16), nullable=False),
        sa.Column("repriced_at_us", sa.BigInteger(), nullable=False),
        sa.Column("old_cost_picousd", sa.BigInteger()),
        sa.Column("old_cost_reason", sa.String(100)),
        sa.Column("old_price_entry", sa.String(300)),
        sa.Column("new_cost_picousd", sa.BigInteger()),
        sa.Column("new_cost_reason", sa.String(100)),
        sa.Column("new_price_entry", sa.String(300)),
    )


def _daily_sums() -> None:
    op.create_table(
        "calendars",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("zone", sa.String(100), nullable=False),
        sa.Column("built_from_day", sa.Integer(), nullable=False),
    )
    op.create_table(
        "rollup",
        sa.Column("calendar", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("group_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("cost_high", sa.BigInteger(), nullable=False),
        sa.Column("cost_low", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in TOKENS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in DURATIONS),
        sa.Column("cost_most", sa.BigInteger(), nullable=False),
        sa.Column("cost_least", sa.BigInteger(), nullable=False),
        sa.Column("duration_most", sa.BigInteger(), nullable=False),
        sa.Column("duration_least", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "facet_sums",
        sa.Column("calendar", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("facet", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.String(200), primary_key=True),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("billable", sa.BigInteger(), nullable=False),
        sa.Column("priced", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in PAIRS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in DURATIONS),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_carry",
        sa.Column("calendar", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("group_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in TOKENS),
        sqlite_with_rowid=False,
    )


def _access() -> None:
    op.create_table(
        "keys",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("hint", sa.String(4), nullable=False),
        sa.Column("default_provider", sa.String(100)),
        sa.Column("default_feature", sa.String(100)),
        sa.Column("requests_per_minute", sa.Integer()),
        sa.Column("concurrent_streams", sa.Integer()),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_us", sa.BigInteger()),
        sa.Column("last_used_at_us", sa.BigInteger()),
    )
    op.create_table(
        "users",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("password", sa.String(300), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "sign_in_links",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_sign_in_links_user_id", "sign_in_links", ["user_id"])


def _team() -> None:
    op.create_table(
        "team_values",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "team_files",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "overrides",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("alias", sa.String(200)),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("starts", sa.String(10)),
        sa.Column("note", sa.String(300), nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "schema_info",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.String(100), nullable=False),
    )


def _first_rows() -> None:
    op.execute("INSERT INTO schema_info (name, value) VALUES ('oldest_code', 'm0001')")
    op.execute("INSERT INTO calendars (id, zone, built_from_day) VALUES (0, 'UTC', 0)")
    for kind in ("keys", "team"):
        op.execute(sa.text("INSERT INTO changes (kind, generation) VALUES (:kind, 0)").bindparams(kind=kind))
