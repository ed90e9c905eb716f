"""uvicorn with what it lacks: deadlines for slow clients, and a shutdown that keeps listening while it drains."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn

from app.edge.connection import ClientConnection
from app.edge.drain import Drain
from app.edge.process_limits import connection_cap, raise_limits
from app.settings import Settings

_CLOSE_GRACE_S = 1


def protocol_for(settings: Settings) -> type[ClientConnection]:
    """A client's connection with the settings' deadlines for a client's headers, body and reading."""

    class Deadlines(ClientConnection):
        headers_s = settings.client_headers_timeout_s
        # The route answers 408 at the limit itself; this is for routes that do not watch their body.
        body_s = settings.client_body_timeout_s + _CLOSE_GRACE_S
        write_s = settings.client_write_timeout_s
        most_connections = connection_cap()

    return Deadlines


class LectrServer(uvicorn.Server):
    """At the first SIGTERM or SIGINT: drain, listening on; then exit with code 0. Further signals change nothing."""

    def __init__(self, config: uvicorn.Config, drain: Drain, drain_s: float) -> None:
        config.timeout_graceful_shutdown = _CLOSE_GRACE_S
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s
        self._ending: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        raise_limits()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The kernel would reset the connections that nobody has taken yet, and the requests in them.
        waiting = [connection for listener in sockets or () for connection in _take_all(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None:
            self.should_exit = True
            return
        if sig == signal.SIGINT and self._drain.draining:
            self.should_exit = self.force_exit = True
            return
        self._loop.call_soon_threadsafe(self._begin_to_end)

    def _begin_to_end(self) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(), name="drain")

    async def _end(self) -> None:
        await self._drain.run(self._drain_s)
        self.should_exit = True


def _take_all(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted."""
    taken: list[socket.socket] = []
    listener.setblocking(False)
    with contextlib.suppress(OSError):
        while True:
            taken.append(listener.accept()[0])
    return taken


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """uvicorn as Lectr runs it: HTTP/1.1 only, no log of its own, no header of its own."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol_for(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
    )
