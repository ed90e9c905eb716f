"""What an invented team sends in a month: which program asks which model for what, how often and how much.

`weight` is the share of the month's requests (they add up to about 100). Sizes are medians in tokens; what single
requests weigh scatters around them.
"""

import msgspec


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request. `shape` names the usage object of the answer, `rhythm` the hours it comes in."""

    weight: float
    key: str
    model: str
    shape: str
    endpoint: str = "chat.completions"
    feature: str | None = None
    task: str | None = None
    served: str | None = None
    """The model named in the answer, where it differs."""
    input_tokens: int
    output_tokens: int = 0
    streamed: float = 0.0
    """Share of the requests that stream."""
    cached: float = 0.0
    """Share of the input that comes from the provider's cache, where a prompt is long enough to be cached."""
    cache_writes: float = 0.0
    reasoning: float = 0.0
    """Share of the output that is reasoning."""
    used: tuple[str, ...] = ()
    tier: str | None = None
    rhythm: str = "office"
    first_byte_ms: int = 500
    tokens_per_s: int = 80
    header: str | None = None
    key_default: str | None = None
    provider_key: str | None = None
    always_404: bool = False
    scatter: float = 0.5


# fmt: off
WORKLOADS: tuple[Workload, ...] = (
    # The shop's support bot: most of the traffic, by day.
    Workload(
        weight=16, key="web-prod", feature="support-bot", task="generation", model="gpt-4o",
        served="gpt-4o-2024-08-06", shape="openai-chat", input_tokens=1100, output_tokens=180, streamed=0.92,
        cached=0.4, tier="default", rhythm="shoppers", first_byte_ms=430
    ),
    Workload(
        weight=12, key="web-prod", feature="support-bot", task="classification", model="gpt-4o",
        served="gpt-4o-2024-08-06", shape="openai-chat", input_tokens=350, output_tokens=11, tier="default",
        rhythm="shoppers", first_byte_ms=380
    ),
    Workload(
        weight=8, key="web-prod", feature="support-bot", task="classification", model="claude-haiku-4-5",
        served="claude-haiku-4-5-20251001", shape="messages", endpoint="messages", input_tokens=420,
        output_tokens=14, rhythm="shoppers", first_byte_ms=520
    ),
    Workload(
        weight=5, key="azure-eu", feature="support-bot", task="generation", model="prod-chat",
        served="gpt-4o-2024-11-20", shape="openai-chat", header="azure", input_tokens=900, output_tokens=160,
        streamed=0.8, tier="default", rhythm="shoppers", first_byte_ms=560
    ),
    Workload(
        weight=1.5, key="web-prod", feature="support-bot", model="omni-moderation-latest", endpoint="moderations",
        shape="none", input_tokens=60, rhythm="shoppers", first_byte_ms=190
    ),
    Workload(
        weight=0.8, key="web-prod", feature="support-bot", model="whisper-1", endpoint="audio.transcriptions",
        shape="seconds", input_tokens=34, used=("audio",), rhythm="shoppers", first_byte_ms=1900
    ),
    # Search: embeddings by day and night, small extractions.
    Workload(
        weight=14, key="web-prod", feature="search", model="text-embedding-3-small", endpoint="embeddings",
        shape="embeddings", input_tokens=55, rhythm="always", first_byte_ms=160, scatter=0.9
    ),
    Workload(
        weight=9, key="web-prod", feature="search", task="extraction", model="openai/gpt-oss-120b",
        shape="groq-chat", input_tokens=620, output_tokens=70, reasoning=0.35, used=("json_schema", "reasoning"),
        tier="on_demand", rhythm="always", first_byte_ms=130, tokens_per_s=480
    ),
    Workload(
        weight=6, key="web-prod", feature="search", task="extraction", model="gemini-2.5-flash",
        shape="gemini-chat", input_tokens=1400, output_tokens=95, reasoning=0.4, cached=0.3, used=("json_schema",),
        rhythm="always", first_byte_ms=390, tokens_per_s=170
    ),
    # Reports: few and long, most of them in the night before Monday.
    Workload(
        weight=4.5, key="batch-jobs", feature="report-writer", task="summarisation", model="claude-sonnet-4-5",
        served="claude-sonnet-4-5-20250929", shape="messages", endpoint="messages", input_tokens=8200,
        output_tokens=850, streamed=0.6, cached=0.45, cache_writes=0.1, rhythm="batch", first_byte_ms=1100,
        tokens_per_s=75
    ),
    Workload(
        weight=4, key="batch-jobs", feature="report-writer", task="summarisation", model="gpt-4.1",
        served="gpt-4.1-2025-04-14", shape="openai-chat", input_tokens=9500, output_tokens=620, cached=0.25,
        tier="default", rhythm="batch", first_byte_ms=800
    ),
    Workload(
        weight=2.2, key="batch-jobs", feature="report-writer", task="reasoning", model="gpt-5.4",
        served="gpt-5.4-2026-03-05", shape="responses", endpoint="responses", input_tokens=3200, output_tokens=1700,
        reasoning=0.6, used=("reasoning",), tier="flex", rhythm="batch", first_byte_ms=2600, tokens_per_s=90
    ),
    Workload(
        weight=1.8, key="batch-jobs", feature="report-writer", task="generation", model="gemini-2.5-pro",
        shape="gemini-chat", input_tokens=5200, output_tokens=1500, reasoning=0.5, streamed=0.5, rhythm="batch",
        first_byte_ms=3100, tokens_per_s=110
    ),
    # Code review: an agent with tools that reads the same files again and again.
    Workload(
        weight=3.5, key="ci", feature="code-review", task="reasoning", model="claude-opus-5-5", shape="messages",
        endpoint="messages", input_tokens=23000, output_tokens=650, streamed=1.0, cached=0.86, cache_writes=0.08,
        used=("tools",), first_byte_ms=1500, tokens_per_s=65
    ),
    Workload(
        weight=2.5, key="ci", feature="code-review", model="gpt-6.1-terra", shape="responses", endpoint="responses",
        input_tokens=14000, output_tokens=520, streamed=1.0, cached=0.7, reasoning=0.5, used=("tools", "reasoning"),
        tier="default", first_byte_ms=1300, tokens_per_s=120
    ),
    Workload(
        weight=1.2, key="ci", feature="code-review", task="reasoning", model="o3", served="o3-2025-04-16",
        shape="openai-chat", input_tokens=2600, output_tokens=1900, reasoning=0.75, used=("reasoning",),
        tier="default", first_byte_ms=6000, tokens_per_s=100
    ),
    Workload(
        weight=1, key="ci", feature="code-review", model="claude-opus-5-5", endpoint="messages.count_tokens",
        shape="none", input_tokens=23000, first_byte_ms=240
    ),
    # Laptops: no tags, now and then a wrong header or key.
    Workload(
        weight=3.5, key="laptops", model="gpt-4o-mini", served="gpt-4o-mini-2024-07-18", shape="openai-chat",
        input_tokens=700, output_tokens=240, streamed=0.7, tier="default", first_byte_ms=400
    ),
    Workload(
        weight=1.2, key="laptops", model="qwen/qwen3.8-27b", shape="groq-chat", input_tokens=500, output_tokens=400,
        reasoning=0.5, streamed=0.9, tier="on_demand", first_byte_ms=150, tokens_per_s=420
    ),
    Workload(
        weight=0.3, key="laptops", model="gpt-image-1-mini", endpoint="images.generations", shape="image",
        input_tokens=40, output_tokens=1056, used=("images",), first_byte_ms=14000
    ),
    Workload(
        weight=0.3, key="laptops", model="gpt-4o-mini", served="gpt-4o-mini-2024-07-18", shape="openai-chat",
        header="opneai", input_tokens=300, output_tokens=90, tier="default", first_byte_ms=400
    ),
    Workload(
        weight=0.1, key="laptops", model="gpt-4o", shape="none", provider_key="sk-ant-", input_tokens=200,
        first_byte_ms=210, always_404=True
    ),
    # No price is known for these two.
    Workload(
        weight=0.7, key="laptops", model="groq/compound", shape="groq-chat", input_tokens=800, output_tokens=350,
        streamed=0.5, used=("tools",), tier="on_demand", first_byte_ms=900, tokens_per_s=300
    ),
    Workload(
        weight=0.5, key="azure-eu", feature="search", model="research-chat", shape="openai-chat",
        served="grok-4-1-fast-non-reasoning", key_default="azure", input_tokens=1500, output_tokens=300, tier="default",
        first_byte_ms=600
    ),
    # Programs that nobody has moved off models that are shut down, or that name what nobody knows.
    Workload(
        weight=0.4, key="batch-jobs", feature="report-writer", task="summarisation", model="gpt-3.5-turbo",
        shape="none", input_tokens=900, rhythm="batch", first_byte_ms=180, always_404=True
    ),
    Workload(
        weight=0.25, key="web-prod", feature="search", task="classification", model="claude-3-haiku-20240307",
        endpoint="messages", shape="none", input_tokens=400, first_byte_ms=200, always_404=True
    ),
    Workload(
        weight=0.15, key="laptops", model="my-finetune-v2", shape="none", input_tokens=400, first_byte_ms=200,
        always_404=True
    ),
)
# fmt: on
