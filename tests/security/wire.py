"""Sends attacks as bytes, many at once, and says what came back."""

import asyncio
import contextlib
import re
from collections.abc import Iterable

from tests.edge.provider import Provider

AT_ONCE = 24
QUIET_S = 0.25
"""Who answers nothing for so long waits for more bytes, and gets the end of the connection."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def exchange(port: int, data: bytes, quiet_s: float = QUIET_S) -> bytes:
    """Everything that comes back until the connection ends or is quiet."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return b""
    seen = b""
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(data)
            await writer.drain()
            while more := await asyncio.wait_for(reader.read(65536), quiet_s):
                seen += more
    finally:
        writer.transport.abort()
    return seen


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers in what came back."""
    return [int(status) for status in _STATUS.findall(answer)]


async def exchange_all(port: int, attacks: Iterable[bytes], quiet_s: float = QUIET_S) -> list[bytes]:
    """What came back for each, in order; some run at once."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(data: bytes) -> bytes:
        async with slots:
            return await exchange(port, data, quiet_s)

    return await asyncio.gather(*(one(data) for data in attacks))


def reached(provider: Provider, since: int) -> list[str]:
    """Method and path of what reached the provider."""
    return [f"{seen.method} {seen.target}" for seen in provider.seen[since:]]
