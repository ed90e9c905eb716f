"""A process that ends answers who has asked: what is under way, who comes meanwhile, what lies unread."""

import asyncio
import socket
from typing import Any, cast

import pytest

from app.edge.drain import Drain
from app.edge.outer import App, Outer
from app.edge.server import LectrServer, server_config
from app.settings import Settings

pytestmark = pytest.mark.anyio

REQUEST = b"POST /sign-in HTTP/1.1\r\nhost: lectr\r\ncontent-length: 2\r\n\r\n{}"


async def test_who_comes_as_the_last_one_goes_is_not_cancelled() -> None:
    drain = Drain()
    ends = asyncio.Event()
    ended: list[str] = []

    async def serve(name: str) -> None:
        task = drain.enter()
        try:
            await (ends.wait() if name == "first" else asyncio.sleep(0.05))
            ended.append(name)
        finally:
            drain.leave(task)

    first = asyncio.create_task(serve("first"))
    await asyncio.sleep(0)
    draining = asyncio.create_task(drain.run(5.0))
    await asyncio.sleep(0)
    ends.set()
    # It begins in the turn of the loop in which the first one ends, before anybody hears of that.
    late = asyncio.create_task(serve("late"))
    await asyncio.wait_for(asyncio.gather(first, late, draining), 5)
    assert ended == ["first", "late"]


async def test_what_is_not_over_in_time_is_ended_and_may_say_goodbye() -> None:
    drain = Drain()
    said: list[str] = []

    async def serve() -> None:
        task = drain.enter()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            said.append("goodbye")
        finally:
            drain.leave(task)

    serving = asyncio.create_task(serve())
    await asyncio.sleep(0)
    await drain.run(0.01)
    assert said == ["goodbye"]
    await serving


async def _served(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("fresh", [False, True], ids=["unread", "on-its-way"])
async def test_a_request_that_can_be_known_is_answered_before_its_connection_closes(fresh: bool) -> None:
    drain = Drain()
    outer = Outer(cast(App, _served), drain, {}, ("strict", "yes"), lambda _: False, {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = LectrServer(server_config(outer, Settings()), drain, 1.0)
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        asking, silent = [await asyncio.open_connection(*listener.getsockname()) for _ in range(2)]
        asking[1].write(REQUEST)
        assert (await asking[0].readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        await drain.run(1.0)
        connections: list[Any] = list(server.server_state.connections)
        assert len(connections) == 2
        if not fresh:
            # No turn of the loop lies between: what is sent here is in the kernel when the connections are closed.
            asking[1].write(REQUEST)
        for connection in connections:
            connection._idle_since -= 0 if fresh else 60
            connection.shutdown()
        if fresh:
            await asyncio.sleep(0.1)
            asking[1].write(REQUEST)
        answer = await asyncio.wait_for(asking[0].read(), 5)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"connection: close" in answer
        assert await asyncio.wait_for(silent[0].read(), 5) == b""
        for _, writer in (asking, silent):
            writer.close()
        server.should_exit = True
        await serving
