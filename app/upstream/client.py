"""Sends a request to its provider and gives the answer back as it comes. The only user of httpx's transport seam."""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import lru_cache

import httpx

from app.domain import Headers, Target
from app.errors import ProviderBadResponse
from app.settings import Settings
from app.upstream.failures import classify
from app.upstream.headers import answer_headers

_REQUEST_ID_FIELDS = (b"x-request-id", b"request-id", b"apim-request-id")


class Answer:
    """One answer of a provider: status, header fields, and its body chunk by chunk."""

    def __init__(self, response: httpx.Response, provider_name: str) -> None:
        self.status = response.status_code
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.raw]
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._chunks = aiter(response.stream)
        self._provider_name = provider_name

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header field (`name` lower-case)."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    @property
    def content_length(self) -> int | None:
        """The length the provider announced."""
        value = self.header(b"content-length")
        return int(value) if value is not None and value.isdigit() and len(value) < 19 else None

    @property
    def request_id(self) -> str | None:
        """The provider's own name of the request, for its support."""
        value = next(filter(None, map(self.header, _REQUEST_ID_FIELDS)), None)
        return value.decode("latin-1")[:200] if value else None

    def client_headers(self, *, keep_length: bool) -> Headers:
        """The header fields that go on to the client."""
        return answer_headers(self.headers, keep_length=keep_length)

    async def read(self) -> bytes:
        """The next bytes of the body as they come, b"" at its end. Raises UpstreamError where it breaks before that."""
        try:
            return await anext(self._chunks, b"")
        except httpx.HTTPError as error:
            raise classify(error, self._provider_name) from error

    async def close(self) -> None:
        """Close the connection unless the body was read to its end."""
        await self._stream.aclose()


class _Upload(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._chunks)


_KEPT_URL_CHARACTERS = 512


def parse_url(url: str) -> httpx.URL:
    """httpx.URL, kept: parsing one costs more than the rest of a request's preparation. Raises httpx.InvalidURL."""
    return _kept_url(url) if len(url) <= _KEPT_URL_CHARACTERS else httpx.URL(url)


@lru_cache(maxsize=2048)
def _kept_url(url: str) -> httpx.URL:
    return httpx.URL(url)


def host_header(url: httpx.URL) -> bytes:
    """The Host field for a URL: name, and the port where it is not the scheme's own."""
    return url.netloc


class UpstreamClient:
    """`send` over any httpx.AsyncBaseTransport, called directly: httpx.AsyncClient alone costs 1 ms a request."""

    def __init__(self, transport: httpx.AsyncBaseTransport, settings: Settings) -> None:
        self._transport = transport
        self._timeouts = {
            "connect": settings.connect_timeout_s,
            "first_byte": settings.first_byte_timeout_s,
            "read": settings.idle_timeout_s,
            "write": settings.idle_timeout_s,
            "pool": settings.connect_timeout_s,
        }

    async def send(
        self,
        target: Target,
        method: str,
        provider_name: str,
        on_sent: Callable[[], None],
        upload: AsyncIterable[bytes] | None = None,
    ) -> Answer:
        """Send and wait for status and headers; `on_sent` is called before the first byte leaves.

        Raises UpstreamError; cancelling closes the connection at once.
        """
        request = httpx.Request(
            method,
            parse_url(target.url),
            headers=target.headers,
            stream=httpx.ByteStream(target.body) if upload is None else _Upload(upload),
            extensions={"timeout": self._timeouts, "on_sent": on_sent},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise classify(error, provider_name) from error
        on_sent()
        answer = Answer(response, provider_name)
        if not 200 <= answer.status <= 599:
            await answer.close()
            raise ProviderBadResponse(
                f"{provider_name} answered with status {answer.status}, which is none.", sent=True
            )
        return answer

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()
