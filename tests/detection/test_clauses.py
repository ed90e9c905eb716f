"""Clauses right for the format: traps of models-and-prices.md section 3, with names no list holds."""

import msgspec
import pytest

from app.catalog.schema import MatchClauses
from app.detection.clauses import Clauses, KeyShapes
from tests.detection.catalogs import registry_providers

CLAUSES = Clauses(registry_providers().values())


def provider_of(name: str) -> str | None:
    fit = CLAUSES.best(name)
    return None if fit is None else fit.provider


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("openai", "gpt-9-turbo gpt-35-turbo o7-mini o3 o10-preview o5-mini o4-mini.ft chatgpt-5-latest whisper-1"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme:3b-distil:9b1xYz ft:o4-mini:acme::x davinci:ft-acme-2023-02-02"),
        (
            "openai",
            "text-embedding-3-huge text-embedding-ada-002 text-curie-001 code-search-ada-code-001 ada container",
        ),
        ("openai", "gpt-4o:extended gpt-3.5-turbo-instruct:20230824-v2 computer-use-preview-2027-01-01"),
        ("anthropic", "claude-next-20270101 claude-2.1 claude-fable-9@default claude-opus-4-8[1m] claude-sonnet-5.5"),
        ("groq", "openai/gpt-oss-240b meta-llama/llama-9-small qwen/qwen9 moonshotai/kimi-k9 groq/compound-2"),
        ("groq", "canopylabs/orpheus-v2 llama3-8b-8192 llama-5.1-70b-versatile mixtral-8x7b-32768 mistral-saba-24b"),
        ("groq", "gemma-7b-it gemma2-9b-it whisper-large-v4 compound-beta-mini playai-tts-arabic"),
        ("groq", "deepseek-r1-distill-llama-70b qwen-qwq-32b openai/gpt-oss-120b:free"),
        ("gemini", "gemini-5-flash gemma-3-27b-it gemma-2-27b-it gemma-5n-e2b-it text-embedding-004 imagen-5.0"),
        ("gemini", "veo-9 lyria-4 learnlm-2.0 embedding-001 aqa deep-research-max-preview-04-2027 gemini-embedding-3"),
    ],
)
def test_names_of_a_provider(provider: str, names: str) -> None:
    assert {name: provider_of(name) for name in names.split()} == dict.fromkeys(names.split(), provider)


@pytest.mark.parametrize(
    "names",
    [
        "gpt-oss-120b gpt-oss gpt-oss:20b gpt-j-6b gpt-neox-20b my-gpt-4o ft:open-mistral-7b:acme:x:y ft:gpt-oss-20b",
        "o o1x o0 openllama opus oo1 text-curie tts-hd computer-use search moderation gpt gpt4 claude",
        "openai/gpt-4o openai/o3 anthropic/claude-opus-5 google/gemini-2.5-flash x-ai/grok-4 azure/gpt-4o gpt-4o/x",
        "grok-4 grok-9-fast groq llamafile mixtral-8x22b-instruct mistral-large-3 mistral-saba-latest gemma2-9b",
        "us.anthropic.claude-sonnet-5 anthropic.claude-v2:1 global.openai.gpt-6 eu.anthropic.claude-opus-5-5",
        "claude-3-5-haiku@20241022 claude-fable-5:free claude-9:latest gemini-2.0-flash:free gpt-4o:free",
        "llama3.2:3b llama3:latest llama3:instruct llama4:16x17b gemma3:4b gemma-3-4b-it:4b qwen3:0.6b gemma-2b-it",
        "meta-llama/meta-llama-3-8b-instruct meta-llama/codellama-34b deepseek-ai/deepseek-r1 moonshotai/moonlight",
        "text-embedding-v3 text-embedding-3 embedding-3 voyage-3 qwen-plus kimi-k2 minimax-m2 prod-chat 🦙",
    ],
)
def test_names_of_nobody(names: str) -> None:
    assert {name: provider_of(name) for name in names.split()} == dict.fromkeys(names.split(), None)


def test_the_longest_fit_wins_and_among_equals_the_first_provider() -> None:
    openai, groq = registry_providers()["openai"], registry_providers()["groq"]
    one = msgspec.structs.replace(openai, match=MatchClauses(prefixes=("ab-", "same-")))
    two = msgspec.structs.replace(groq, match=MatchClauses(prefixes=("same-",), patterns=("^ab-c+",)))
    clauses = Clauses((one, two))
    assert [(fit.provider, fit.length) for fit in clauses.fits("ab-ccc")] == [("groq", 6), ("openai", 3)]
    assert [fit.provider for fit in clauses.fits("same-x")] == ["openai", "groq"]


def test_a_refused_fit_leaves_room_for_a_shorter_one_of_another_provider() -> None:
    openai, groq = registry_providers()["openai"], registry_providers()["groq"]
    one = msgspec.structs.replace(openai, match=MatchClauses(prefixes=("model-",), never=("-oss",)))
    two = msgspec.structs.replace(groq, match=MatchClauses(prefixes=("mod",)))
    best = Clauses((one, two)).best("model-oss")
    assert best is not None
    assert best.provider == "groq"


def test_azure_is_never_recognised_by_name() -> None:
    assert CLAUSES.automatic == {"openai", "anthropic", "groq", "gemini"}


KEYS: dict[str, tuple[str, bool] | None] = {
    "sk-ant-api03-x": ("anthropic", True),
    "sk-ant-oat01-x": ("anthropic", True),
    "gsk_x": ("groq", True),
    "AIzaSyX": ("gemini", True),
    "sk-proj-x": ("openai", False),
    "sk-x": ("openai", False),
    "aiza": None,
    "SK-ANT-x": None,
    "eyJx": None,
    "": None,
}


@pytest.mark.parametrize("key", KEYS)
def test_a_shape_that_begins_anothers_is_not_certain(key: str) -> None:
    shape = KeyShapes(registry_providers()).of(key)
    assert (shape and (shape.provider, shape.certain)) == KEYS[key]
