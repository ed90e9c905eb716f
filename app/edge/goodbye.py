"""What a caller gets whose request Lectr itself must end, because it shuts down."""

import asyncio
import contextlib

import msgspec

from app.domain import Outcome
from app.edge.client import Client
from app.edge.error_bodies import error_body, error_headers
from app.edge.refusals import draining
from app.pipeline import Pipeline
from app.record import Record

_LAST_WORD_S = 1.0
"""A caller that does not read cannot hold the shutdown."""


async def say_goodbye(record: Record, client: Client, pipeline: Pipeline) -> None:
    """Write the row `server_shutdown`, then an error event where a stream was under way, a 503 where nothing was sent.

    What is neither is broken off: the caller sees an incomplete answer.
    """
    rejected = draining()
    record.outcome, record.error_source = Outcome.SERVER_SHUTDOWN, "lectr"
    if client.started:
        pipeline.leave(record)
    else:
        await pipeline.reject(record, rejected)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_S):
            if not client.started:
                body = error_body(rejected, record.request.path)
                await client.refuse(rejected.status, error_headers(rejected, body) + record.headers(), body)
            elif record.event_stream:
                await client.end(_error_event(record.request.endpoint, error_body(rejected, record.request.path)))


def _error_event(endpoint: str, body: bytes) -> bytes:
    """An error in the stream's own format; the empty lines end whatever event was cut."""
    if endpoint == "messages":
        return b"\n\nevent: error\ndata: " + body + b"\n\n"
    if endpoint == "responses":
        error = msgspec.json.decode(body)["error"]
        told = {"type": "error", "code": error["code"], "message": error["message"], "param": None}
        return b"\n\nevent: error\ndata: " + msgspec.json.encode(told) + b"\n\n"
    return b"\n\ndata: " + body + b"\n\n"
