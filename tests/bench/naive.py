"""The proxy that one would write first: a Litestar handler and httpx's client. Runs in an environment of its own.

`python naive.py PORT UPSTREAM_URL`; it checks no key, reads no usage and writes nothing down.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.response import Stream

# Stock, but for the limits that would refuse the thousand streams it is measured with.
CLIENT = httpx.AsyncClient(timeout=900, limits=httpx.Limits(max_connections=None, max_keepalive_connections=20))


@get("/health")
async def health() -> str:
    return "ok"


@post("/v1/chat/completions", status_code=200)
async def chat(request: Request[Any, Any, Any]) -> Response[bytes] | Stream:
    body = await request.body()
    headers = {"authorization": request.headers["authorization"], "content-type": "application/json"}
    url = f"{sys.argv[2]}/v1/chat/completions"
    sending = CLIENT.build_request("POST", url, content=body, headers=headers)
    answer = await CLIENT.send(sending, stream=True)
    media_type = answer.headers["content-type"]
    if media_type.startswith("text/event-stream"):
        return Stream(_relay(answer), media_type=media_type, status_code=answer.status_code)
    content = await answer.aread()
    await answer.aclose()
    return Response(content, media_type=media_type, status_code=answer.status_code)


async def _relay(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


@asynccontextmanager
async def _closing(_app: Litestar) -> AsyncGenerator[None, None]:
    yield
    await CLIENT.aclose()


if __name__ == "__main__":
    app = Litestar([health, chat], lifespan=[_closing], logging_config=None, openapi_config=None)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
