"""How each SDK is pointed at this box, with its address filled in."""

import json
from typing import Any

import msgspec

from app.catalog.schema import Model

KEY_PLACEHOLDER = "lc_key_..."


class Snippet(msgspec.Struct, frozen=True):
    """One piece of text to copy."""

    id: str
    name: str
    text: str


_TEXTS = (
    (
        "curl",
        "curl",
        """curl {base}/v1/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "X-Lectr-Key: {key}" \\
  -H "X-Lectr-Feature: search" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "gpt-6-luna", "messages": [{{"role": "user", "content": "Hello"}}]}}'""",
    ),
    (
        "python",
        "Python, OpenAI SDK",
        """from openai import OpenAI

client = OpenAI(
    base_url="{base}/v1",
    default_headers={{"X-Lectr-Key": "{key}", "X-Lectr-Feature": "search"}},
)
# Groq and Gemini too: api_key is theirs, and `model` chooses the provider.""",
    ),
    (
        "node",
        "Node, OpenAI SDK",
        """import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: "{base}/v1",
  defaultHeaders: {{ "X-Lectr-Key": "{key}", "X-Lectr-Feature": "search" }},
}});""",
    ),
    (
        "azure",
        "Python, AzureOpenAI",
        """from openai import AzureOpenAI

client = AzureOpenAI(
    base_url="{base}/v1",
    api_version="2024-10-21",
    default_headers={{"X-Lectr-Key": "{key}", "X-Lectr-Provider": "azure"}},
)""",
    ),
    (
        "anthropic",
        "Python, Anthropic SDK",
        """from anthropic import Anthropic

client = Anthropic(
    base_url="{base}",  # without /v1: this SDK adds it
    default_headers={{"X-Lectr-Key": "{key}", "X-Lectr-Feature": "search"}},
)""",
    ),
    (
        "langchain",
        "LangChain",
        """from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="gpt-6-luna",
    base_url="{base}/v1",
    default_headers={{"X-Lectr-Key": "{key}", "X-Lectr-Feature": "search"}},
)""",
    ),
    (
        "vercel",
        "Vercel AI SDK",
        """import {{ createOpenAI }} from "@ai-sdk/openai";

const openai = createOpenAI({{
  baseURL: "{base}/v1",
  headers: {{ "X-Lectr-Key": "{key}", "X-Lectr-Feature": "search" }},
}});""",
    ),
    (
        "claude-code",
        "Claude Code",
        """export ANTHROPIC_BASE_URL={base}
export ANTHROPIC_CUSTOM_HEADERS="X-Lectr-Key: {key}\"""",
    ),
    (
        "environment",
        "Environment variables only",
        """# For programs that cannot send a header: the Lectr key goes where the provider's key goes,
# and this box uses its own provider key.
export OPENAI_BASE_URL={base}/v1
export OPENAI_API_KEY={key}
export ANTHROPIC_BASE_URL={base}
export ANTHROPIC_API_KEY={key}""",
    ),
)


_OPENAI_CALL = """curl {base}/v1/{path} \\
  -H "Authorization: Bearer ${key_setting}" \\
  -H "X-Lectr-Key: {key}" \\
  -H "Content-Type: application/json" \\
  -d '{body}'"""
_ANTHROPIC_CALL = """curl {base}/v1/messages \\
  -H "x-api-key: ${key_setting}" \\
  -H "X-Lectr-Key: {key}" \\
  -H "Content-Type: application/json" \\
  -d '{body}'"""
_OPENAI_PYTHON = """import os
from openai import OpenAI

client = OpenAI(
    base_url="{base}/v1",
    api_key=os.environ["{key_setting}"],
    default_headers={{"X-Lectr-Key": "{key}"}},
)
{call}"""
_ANTHROPIC_PYTHON = """import os
from anthropic import Anthropic

client = Anthropic(
    base_url="{base}",  # without /v1: this SDK adds it
    api_key=os.environ["{key_setting}"],
    default_headers={{"X-Lectr-Key": "{key}"}},
)
client.messages.create(
    model={model}, max_tokens=100, messages=[{{"role": "user", "content": "Hello"}}]
)"""
_CHAT_CALL = """client.chat.completions.create(
    model={model}, messages=[{{"role": "user", "content": "Hello"}}]
)"""
_EMBEDDINGS_CALL = """client.embeddings.create(model={model}, input="Hello")"""


def model_snippets(base_url: str, model: Model, key_setting: str) -> list[Snippet]:
    """curl and Python that ask for this model; none for kinds whose requests look different for each."""
    if model.mode not in ("chat", "embedding") or model.provider == "azure":
        return []
    name = json.dumps(model.id)
    given = {"base": base_url, "key": KEY_PLACEHOLDER, "key_setting": key_setting, "model": name}
    body: dict[str, Any] = {"model": model.id, "messages": [{"role": "user", "content": "Hello"}]}
    path, call, curl, python = "chat/completions", _CHAT_CALL.format(**given), _OPENAI_CALL, _OPENAI_PYTHON
    if model.provider == "anthropic":
        body["max_tokens"] = 100
        curl, python = _ANTHROPIC_CALL, _ANTHROPIC_PYTHON
    elif model.mode == "embedding":
        path, call = "embeddings", _EMBEDDINGS_CALL.format(**given)
        body = {"model": model.id, "input": "Hello"}
    return [
        Snippet("curl", "curl", curl.format(**given, path=path, body=json.dumps(body))),
        Snippet("python", "Python", python.format(**given, call=call)),
    ]


def snippets(base_url: str, key: str | None) -> list[Snippet]:
    """All snippets for this box; a key just made is filled in, else a placeholder."""
    return [
        Snippet(place, name, text.format(base=base_url, key=key or KEY_PLACEHOLDER)) for place, name, text in _TEXTS
    ]
