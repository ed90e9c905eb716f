"""What a client saw, without what differs from one answer to the next; and the row and cost that belong to it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from app.demo.standin import Seen
from tests.api.serving import Lectr, wait_until

QUESTION: list[Any] = [{"role": "user", "content": "Where is my order?"}]
LONG: list[Any] = [{"role": "user", "content": "word " * 4000}]
_CHANCE = re.compile(r"[0-9a-f]{16,}")
_MOMENTS = ("created", "created_at", "completed_at", "expires_at")


def plain(value: Any) -> Any:
    """A client's object as plain data; ids made by chance and moments are the same for all."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: 0 if name in _MOMENTS else plain(item) for name, item in value.items()}
    if isinstance(value, str):
        return _CHANCE.sub("chance", value)
    if hasattr(value, "model_dump"):
        # A field of a union that the SDK does not know warns when it is written out.
        return plain(value.model_dump(warnings=False))
    return value


def same_both_ways(call: Callable[[Any], Any], direct: Any, through: Any) -> Any:
    """Make a call on both clients: they must see the same. Gives what the one through Lectr saw."""
    expected, seen = call(direct), call(through)
    assert plain(seen) == plain(expected)
    assert plain(seen), "nothing was compared"
    return seen


def forwarded(seen: Seen) -> dict[str, str]:
    """The header fields of a request but those of the connection and of the key, which Lectr writes itself."""
    own = ("host", "connection", "accept-encoding", "authorization", "x-api-key")
    return {name: value for name, value in seen.headers.items() if name not in own}


def raised_by(call: Callable[[], Any], kind: type[Exception]) -> dict[str, Any]:
    """The class and content of the error that a call raises."""
    try:
        call()
    except kind as error:
        fields = ("status_code", "code", "type", "param", "body", "message")
        return {"class": type(error).__name__, **{name: getattr(error, name, None) for name in fields}}
    raise AssertionError("no error was raised")


def only_row(lectr: Lectr, feature: str) -> dict[str, Any]:
    """The one row of a test; it may take a second to be there."""

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = lectr.json("/api/requests", feature=feature)["requests"]
        return found

    wait_until(lambda: bool(rows()))
    [row] = rows()
    return row


def cost(provider: str, model: str, *, input: int = 0, cached: int = 0, output: int = 0) -> int:
    """Pico-dollars by the registry's rates: uncached input, cached input and output, each times its rate."""
    match = load_catalog(REGISTRY_DIR).price_at(provider, model, datetime.now(UTC).date())
    assert match is not None, model
    rates = match.price.rates
    zero = Decimal(0)
    dollars_per_million = (
        input * rates.get("input_mtok", zero)
        + cached * rates.get("cache_read_mtok", zero)
        + output * rates.get("output_mtok", zero)
    )
    picousd = dollars_per_million * 10**6
    assert picousd == int(picousd)
    return int(picousd)
