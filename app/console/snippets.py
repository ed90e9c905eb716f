"""How each SDK is pointed at this box, with its address filled in."""

import msgspec

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
  -d '{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "Hello"}}]}}'""",
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
    model="gpt-4o-mini",
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


def snippets(base_url: str, key: str | None) -> list[Snippet]:
    """All snippets for this box; a key just made is filled in, else a placeholder."""
    return [
        Snippet(place, name, text.format(base=base_url, key=key or KEY_PLACEHOLDER)) for place, name, text in _TEXTS
    ]
