"""A whole Lectr on a real server in a thread of its own, and clients that see every byte."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from app.asgi import create_app
from app.edge.server import LectrServer, server_config
from app.ledger.clock import now_us
from app.ledger.database import open_database
from app.ledger.keys import KeyStore
from app.settings import Settings
from tests import canaries
from tests.postgres import database_url

ADMIN_TOKEN = canaries.ADMIN
STARTS_WITHIN_S = 20.0
WAITS_S = 10.0
Fields = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """What a client got. `whole` is False where the message ended before its framing said so."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        """The first value of a header field; `name` lower-case."""
        return next((value for field, value in self.headers if field == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The id Lectr gave the request."""
        value = self.header("x-lectr-request-id")
        assert value is not None, (self.status, self.body[:200])
        return value

    @property
    def code(self) -> Any:
        """The code of an error of Lectr's own."""
        return self.json["error"]["code"]


def call(
    port: int,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Fields = (),
    *,
    chunks: Sequence[bytes] | None = None,
) -> Answer:
    """One request on a connection of its own; `chunks` sends the body chunked. Only the fields given are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAITS_S)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("utf-8"))
        if chunks is not None:
            connection.putheader("transfer-encoding", "chunked")
        elif body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(None if chunks is not None else body)
        if chunks is not None:
            connection.send(b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n")
        return _answer(connection.getresponse())
    finally:
        connection.close()


def _answer(response: http.client.HTTPResponse) -> Answer:
    fields = [(name.lower(), value) for name, value in response.getheaders()]
    try:
        return Answer(response.status, fields, response.read(), True)
    except http.client.IncompleteRead as cut:
        return Answer(response.status, fields, cut.partial, False)
    except (ConnectionError, http.client.HTTPException):
        return Answer(response.status, fields, b"", False)


class Raw:
    """A bare connection: what is sent and what comes back, byte for byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAITS_S)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> "Raw":
        self.socket.sendall(data)
        return self

    def read_until(self, mark: bytes) -> bytes:
        """What has come once `mark` is in it; all there was if the connection ended before."""
        seen = b""
        while mark not in seen:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return seen
            if not data:
                return seen
            seen += data
        return seen

    def read_all(self) -> bytes:
        """Everything up to the end of the connection."""
        return self.read_until(b"\0never\0")

    def vanish(self) -> None:
        """Hang up as a killed client does."""
        self.socket.close()


def request_bytes(method: str, target: str, headers: Fields, body: bytes = b"") -> bytes:
    """A request as it stands on the wire, with its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", "host: lectr.test", *(f"{name}: {value}" for name, value in headers)]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Lectr:
    """A running Lectr. `keys` are its keys' secrets by name."""

    def __init__(self, port: int, settings: Settings, keys: Mapping[str, str]) -> None:
        self.port = port
        self.settings = settings
        self.keys = keys
        self._admin = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=WAITS_S,
            trust_env=False,
        )

    def close(self) -> None:
        self._admin.close()

    def admin(self, path: str, **query: str | int) -> Any:
        """What the admin API answers."""
        answer = self._admin.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def row(self, id: str, within_s: float = 1.0) -> dict[str, Any]:
        """The row of a request. It must be there within a second of the answer."""
        deadline = time.monotonic() + within_s
        while True:
            answer = self._admin.get(f"/api/requests/{id}")
            if answer.status_code == 200:
                row: dict[str, Any] = answer.json()
                return row
            assert time.monotonic() < deadline, f"no row {id} within {within_s} s"
            time.sleep(0.005)

    def rows(self, count: int | None = None, *, within_s: float = 1.0, **filters: str) -> list[dict[str, Any]]:
        """The newest rows that fit; waits until there are `count`, and fails on more."""
        deadline = time.monotonic() + within_s
        while True:
            rows: list[dict[str, Any]] = self.admin("/api/requests", limit=1000, **filters)["requests"]
            if count is None or len(rows) == count:
                return rows
            assert time.monotonic() < deadline, f"{len(rows)} rows instead of {count}: {rows[:3]}"
            time.sleep(0.005)

    def health(self) -> Any:
        return self._admin.get("/health").json()

    def call(
        self,
        target: str = "/v1/chat/completions",
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str | None = None,
        key: str | None = "plain",
        provider_key: str | None = canaries.CALLER,
        chunks: Sequence[bytes] | None = None,
    ) -> Answer:
        """One request as a program sends it: JSON body, Lectr key in its own header, bearer provider key."""
        fields, payload = self.fields(body, headers, key=key, provider_key=provider_key)
        sends = payload is not None or chunks is not None
        return call(self.port, method or ("POST" if sends else "GET"), target, payload, fields, chunks=chunks)

    def fields(
        self,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = "plain",
        provider_key: str | None = canaries.CALLER,
    ) -> tuple[list[tuple[str, str]], bytes | None]:
        """Header fields and body bytes of such a request."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {name.lower(): value for name, value in (headers or {}).items()}
        fields: dict[str, str] = {}
        if key is not None:
            fields["x-lectr-key"] = self.keys[key]
        if provider_key is not None:
            fields["authorization"] = f"Bearer {provider_key}"
        if payload is not None:
            fields["content-type"] = "application/json"
        return list((fields | given).items()), payload

    def raw(self, target: str, body: object, headers: Mapping[str, str] | None = None, method: str = "POST") -> bytes:
        """The same request as bytes."""
        fields, payload = self.fields(body, headers)
        return request_bytes(method, target, fields, payload or b"")


async def _make_keys(settings: Settings, keys: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    database = await open_database(settings)
    try:
        store = KeyStore(database)
        await store.load()
        return {name: (await store.create(name, **options))[0] for name, options in keys.items()}
    finally:
        await database.close()


@contextlib.contextmanager
def running(
    settings: Settings,
    *,
    keys: Mapping[str, Mapping[str, Any]] | None = None,
    clock: Callable[[], int] = now_us,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Iterator[Lectr]:
    """A whole Lectr on a free port, with these keys (`plain` has no options), until the block ends."""
    settings = msgspec.structs.replace(settings, admin_token=ADMIN_TOKEN, allow_private_upstreams=True)
    secrets = asyncio.run(_make_keys(settings, {"plain": {}, **(keys or {})}))
    app = create_app(settings, clock=clock, transport=transport)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    server = LectrServer(server_config(app, settings), app.drain, settings.drain_timeout_s)
    thread = threading.Thread(target=server.run, args=([listener],), name="lectr", daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not server.started:
        assert thread.is_alive(), "Lectr did not start"
        assert time.monotonic() < deadline, "Lectr did not start in time"
        time.sleep(0.005)
    lectr = Lectr(listener.getsockname()[1], settings, secrets)
    try:
        yield lectr
    finally:
        lectr.close()
        server.should_exit = True
        thread.join(STARTS_WITHIN_S)
        listener.close()


def data_settings(folder: Path, **values: Any) -> Settings:
    """Settings with a data folder of their own below `folder`."""
    data = folder / "data"
    return msgspec.structs.replace(Settings(data_dir=data, database_url=database_url(data)), **values)


UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
