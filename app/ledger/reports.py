"""Every question the console and the API ask of the ledger, in one place to import from."""

from app.ledger.cost_by_day import cost_by_day
from app.ledger.facets import facets
from app.ledger.filters import UNTAGGED, RequestFilter
from app.ledger.histogram import DURATION_BOUNDS_MS, quantile
from app.ledger.request_lists import (
    RequestPage,
    count_requests,
    get_request,
    list_requests,
    neighbours,
    stream_requests,
)
from app.ledger.usage_report import GROUPINGS, Latency, UsageReport, UsageRow, latency, total_of, usage_by

__all__ = [
    "DURATION_BOUNDS_MS",
    "GROUPINGS",
    "UNTAGGED",
    "Latency",
    "RequestFilter",
    "RequestPage",
    "UsageReport",
    "UsageRow",
    "cost_by_day",
    "count_requests",
    "facets",
    "get_request",
    "latency",
    "list_requests",
    "neighbours",
    "quantile",
    "stream_requests",
    "total_of",
    "usage_by",
]
