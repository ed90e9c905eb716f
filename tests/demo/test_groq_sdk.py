"""Groq's own SDK against the stand-in."""

from typing import Any

import groq
import pytest
from groq import AsyncGroq, Groq

QUESTION: list[Any] = [{"role": "user", "content": "Where is my order?"}]


def test_whole_and_streamed(address: str) -> None:
    with Groq(base_url=f"{address}/groq", api_key="gsk_any", max_retries=0) as client:
        whole = client.chat.completions.create(model="openai/gpt-oss-20b", messages=QUESTION)
        assert whole.usage
        assert whole.usage.queue_time
        chunks = list(client.chat.completions.create(model="openai/gpt-oss-20b", messages=QUESTION, stream=True))
        assert chunks[0].x_groq
        assert chunks[-1].x_groq
        assert chunks[-1].x_groq.usage
        assert chunks[-1].x_groq.usage.completion_tokens == whole.usage.completion_tokens
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content
        with pytest.raises(groq.RateLimitError):
            client.chat.completions.create(model="llama-error-429", messages=QUESTION)


@pytest.mark.anyio
async def test_async(address: str) -> None:
    async with AsyncGroq(base_url=f"{address}/groq", api_key="gsk_any", max_retries=0) as client:
        stream = await client.chat.completions.create(model="qwen/qwen3-32b", messages=QUESTION, stream=True)
        assert [chunk async for chunk in stream]
