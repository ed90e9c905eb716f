"""One request to a provider and its answer, as client and transport pass them to each other.

httpx's own objects stand at the seam that other transports and the tests use (`OverHttpx`). Between Lectr's client
and Lectr's transport they would only be built to be taken apart again: 18 of 150 microseconds of a request.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import Protocol

import httpx
import msgspec

from app.domain import Headers

Origin = tuple[bytes, bytes, int]
"""Scheme, host, and port (0 = the scheme's own)."""

_KEPT_URL_CHARACTERS = 512


class Place(msgspec.Struct, frozen=True):
    """Where a URL leads: `target` is path and query, `host` the Host field."""

    url: httpx.URL
    origin: Origin
    target: bytes
    host: bytes


def place_of(url: str) -> Place:
    """The parts of a URL, kept: parsing one costs more than the rest of a request's preparation.

    Raises httpx.InvalidURL.
    """
    return _kept_place(url) if len(url) <= _KEPT_URL_CHARACTERS else _place(httpx.URL(url))


@lru_cache(maxsize=2048)
def _kept_place(url: str) -> Place:
    return _place(httpx.URL(url))


def _place(url: httpx.URL) -> Place:
    return Place(url, (url.raw_scheme, url.raw_host, url.port or 0), url.raw_path, url.netloc)


class Call(msgspec.Struct):
    """One request. `body` is None where it is streamed from `upload`; `on_sent` comes before the first byte leaves.

    `timeouts` in seconds: `connect`, `first_byte` (from the last byte sent to the answer's head), `read` (the longest
    pause in a body).
    """

    method: str
    place: Place
    headers: Headers
    body: bytes | None
    upload: AsyncIterable[bytes] | None
    timeouts: Mapping[str, float | None]
    on_sent: Callable[[], None]


class Exchange(Protocol):
    """An answer under way: its status, its header fields (names lower-case), and its body as it comes."""

    status: int
    headers: Headers

    @property
    def waiting(self) -> bool:
        """True if bytes of the body are known to have come: reading them takes no time."""
        ...

    @property
    def ended(self) -> bool:
        """True if the whole body is known to have been read, to its clean end."""
        ...

    async def read(self) -> bytes:
        """The next bytes of the body, b"" at its clean end. Raises httpx.HTTPError."""
        ...

    async def aclose(self) -> None:
        """Close the connection unless the body was read to its end."""


class Exchanges(Protocol):
    """What opens exchanges."""

    async def exchange(self, call: Call) -> Exchange:
        """Send and wait for status and headers. Raises httpx.HTTPError, httpx.InvalidURL, OSError."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""


class OverHttpx:
    """Exchanges over any httpx.AsyncBaseTransport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def exchange(self, call: Call) -> Exchange:
        stream = httpx.ByteStream(call.body or b"") if call.upload is None else _Upload(call.upload)
        request = httpx.Request(
            call.method,
            call.place.url,
            headers=call.headers,
            stream=stream,
            extensions={"timeout": call.timeouts, "on_sent": call.on_sent},
        )
        return _HttpxExchange(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        await self._transport.aclose()


class _HttpxExchange:
    waiting = ended = False

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._chunks = aiter(response.stream)

    async def read(self) -> bytes:
        # Other transports may give an empty chunk in between, which here would mean the end.
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Upload(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._chunks)
