"""Request bodies and keys of the edge tests."""

from typing import Any

from tests import canaries

SHAPES = {
    **canaries.SHAPES,
    "none": "0123456789abcdef",
}
"""A provider key by the company its shape names."""
CERTAIN = ("anthropic", "groq", "gemini")

MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "groq": "llama-3.3-70b-versatile",
    "gemini": "gemini-2.5-flash",
}


def asking(model: str | None = "gpt-4o-mini", **more: Any) -> dict[str, Any]:
    """A chat completion (or message) request."""
    named = {} if model is None else {"model": model}
    return {**named, "messages": [{"role": "user", "content": f"Say hello {canaries.PROMPT}"}], **more}
