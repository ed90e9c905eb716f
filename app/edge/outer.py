"""What stands around the whole application: headers on every answer, HEAD, and nothing but HTTP.

Litestar's own middleware does not see its 404, 405 and exception answers, so this wraps the app.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.edge.auth import read_headers, sent_twice
from app.edge.client import Message, Receive, Send
from app.edge.drain import Drain
from app.edge.error_bodies import error_body, error_headers
from app.edge.refusals import draining
from app.errors import RequestRejected

App = Callable[[Any, Receive, Send], Awaitable[None]]

# Groq's SDK writes this path after whatever base URL it is given; Azure's v1 form has it too.
_GROQ_PREFIX = b"/openai/v1/"


class Outer:
    """`headers` go on every answer outside `/v1/`; `secure_header` on those of requests that came by https.

    `programs` is where `app` itself routes `/v1/` to, if that is known; there it is then called at once.
    """

    def __init__(
        self,
        app: App,
        drain: Drain,
        headers: Mapping[str, str],
        secure_header: tuple[str, str],
        is_https: Callable[[Any], bool],
        marks: Mapping[str, str],
        programs: App | None = None,
    ) -> None:
        self._app = app
        self._programs = programs or app
        self.drain = drain
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        self._secure = (secure_header[0].encode("ascii"), secure_header[1].encode("ascii"))
        self._is_https = is_https
        self._marks = [(name.encode("ascii"), value.encode("ascii")) for name, value in marks.items()]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["raw_path"].startswith(_GROQ_PREFIX):
            scope = _without_prefix(scope)
        programs = scope["raw_path"].startswith(b"/v1/")
        ending = self.drain.draining
        if programs and not self._marks and not ending:
            await self._programs(scope, receive, send)
            return
        added = list(self._marks)
        if ending:
            added.append((b"connection", b"close"))
            if not programs and scope["path"] != "/health":
                await _turn_away(send, draining(), added)
                return
        if not programs:
            added += self._headers
            if self._is_https(scope):
                added.append(self._secure)
            if repeated := read_headers(scope["headers"]).repeated:
                await _turn_away(send, sent_twice(repeated), added)
                return
        head = scope["method"] == "HEAD" and not programs
        if head:
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, _with_headers(send, added, bodyless=head, fresh=not programs))


def _with_headers(send: Send, added: list[tuple[bytes, bytes]], *, bodyless: bool, fresh: bool) -> Send:
    ended = False

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            headers += [field for field in added if field[0] not in present]
            if fresh and not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        elif bodyless:
            nonlocal ended
            if ended:
                return
            # The answer ends here: the server then says that the client is gone, which stops an endless stream.
            ended = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return sending


async def _turn_away(send: Send, rejected: RequestRejected, added: list[tuple[bytes, bytes]]) -> None:
    body = error_body(rejected, "")
    headers = [*error_headers(rejected, body), *added]
    await send({"type": "http.response.start", "status": rejected.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_prefix(scope: Any) -> Any:
    cut = len(b"/openai")
    return {**scope, "raw_path": scope["raw_path"][cut:], "path": scope["path"][cut:]}
