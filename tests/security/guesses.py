"""Guesses passwords at the sign-in form as fast as it answers, from as many claimed addresses as there are guesses."""

import asyncio
import re
from collections import Counter
from urllib.parse import urlencode

import httpx

AT_ONCE = 24


async def guess(port: int, count: int, *, name: str | None = "admin", password: str = "wrong") -> Counter[int]:
    """Statuses of `count` tries; `name` None = another one each time. Each says it comes from somewhere else."""
    statuses: Counter[int] = Counter()
    numbers = iter(range(count))
    url = f"http://127.0.0.1:{port}"

    async def guesser() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60, headers={"origin": url}) as client:
            found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/sign-in")).text)
            assert found is not None
            for number in numbers:
                form = {"csrf": found[1], "name": name or f"person{number}", "password": f"{password}{number}"}
                claimed = f"198.51.{number // 250 % 250}.{number % 250}"
                headers = {"x-forwarded-for": claimed, "forwarded": f"for={claimed}", "x-real-ip": claimed,
                           "content-type": "application/x-www-form-urlencoded"}  # fmt: skip
                answer = await client.post("/sign-in", content=urlencode(form), headers=headers)
                statuses[answer.status_code] += 1

    await asyncio.gather(*(guesser() for _ in range(AT_ONCE)))
    return statuses


async def sign_in(port: int, name: str, password: str) -> int:
    """The status that name and password get; 303 is the way in."""
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=60, headers={"origin": url}) as client:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await client.get("/sign-in")).text)
        assert found is not None
        answer = await client.post("/sign-in", data={"csrf": found[1], "name": name, "password": password})
        return answer.status_code
