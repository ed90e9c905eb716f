"""Sends a request to its provider and gives the answer back as it comes. The only user of the transport."""

from collections.abc import AsyncIterable, Callable

import httpx

from app.domain import Headers, Target
from app.errors import ProviderBadResponse
from app.settings import Settings
from app.upstream.exchange import Call, Exchange, Exchanges, OverHttpx, place_of
from app.upstream.failures import classify
from app.upstream.headers import answer_headers
from app.upstream.transport import PooledTransport

_REQUEST_ID_FIELDS = (b"x-request-id", b"request-id", b"apim-request-id")


class Answer:
    """One answer of a provider: status, header fields, and its body chunk by chunk."""

    def __init__(self, exchange: Exchange, provider_name: str) -> None:
        self.status = exchange.status
        self.headers = exchange.headers
        # The first of several counts.
        self._fields = dict(reversed(exchange.headers))
        self._exchange = exchange
        self._provider_name = provider_name

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header field (`name` lower-case)."""
        return self._fields.get(name)

    @property
    def content_length(self) -> int | None:
        """The length the provider announced."""
        value = self._fields.get(b"content-length")
        return int(value) if value is not None and value.isdigit() and len(value) < 19 else None

    @property
    def request_id(self) -> str | None:
        """The provider's own name of the request, for its support."""
        value = next(filter(None, map(self._fields.get, _REQUEST_ID_FIELDS)), None)
        return value.decode("latin-1")[:200] if value else None

    def client_headers(self, *, keep_length: bool) -> Headers:
        """The header fields that go on to the client."""
        return answer_headers(self.headers, keep_length=keep_length)

    @property
    def waiting(self) -> bool:
        """True if bytes of the body have come: reading them takes no time."""
        return self._exchange.waiting

    @property
    def ended(self) -> bool:
        """True if the whole body was read; False may only mean that nothing says so yet."""
        return self._exchange.ended

    async def read(self) -> bytes:
        """The next bytes of the body as they come, b"" at its end. Raises UpstreamError where it breaks before that."""
        try:
            return await self._exchange.read()
        except httpx.HTTPError as error:
            raise classify(error, self._provider_name) from error

    async def close(self) -> None:
        """Close the connection unless the body was read to its end."""
        await self._exchange.aclose()


class UpstreamClient:
    """`send` over Lectr's transport or any other of httpx, called directly: httpx.AsyncClient alone costs 1 ms."""

    def __init__(self, transport: httpx.AsyncBaseTransport, settings: Settings) -> None:
        self._exchanges: Exchanges = transport if isinstance(transport, PooledTransport) else OverHttpx(transport)
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
        body = target.body if upload is None else None
        try:
            call = Call(method, place_of(target.url), target.headers, body, upload, self._timeouts, on_sent)
            exchange = await self._exchanges.exchange(call)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise classify(error, provider_name) from error
        on_sent()
        answer = Answer(exchange, provider_name)
        if not 200 <= answer.status <= 599:
            await answer.close()
            raise ProviderBadResponse(
                f"{provider_name} answered with status {answer.status}, which is none.", sent=True
            )
        return answer

    async def close(self) -> None:
        """Close every connection."""
        await self._exchanges.aclose()
