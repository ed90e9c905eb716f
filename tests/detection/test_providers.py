"""The five provider files say what product.md section 1 says."""

import re

import pytest

from tests.detection.catalogs import registry_providers

PROVIDERS = registry_providers()


def test_base_addresses_and_paths() -> None:
    # product.md section 1 and wire-facts.md section 4.
    assert {id: (p.base_url, p.path_prefix) for id, p in PROVIDERS.items()} == {
        "openai": ("https://api.openai.com", "/v1"),
        "anthropic": ("https://api.anthropic.com", "/v1"),
        "groq": ("https://api.groq.com/openai", "/v1"),
        "gemini": ("https://generativelanguage.googleapis.com/v1beta/openai", ""),
        "azure": ("", "/openai/v1"),
    }


def test_keys_go_upstream_as_each_provider_wants_them() -> None:
    assert {id: p.auth for id, p in PROVIDERS.items()} == {
        "openai": "bearer",
        "anthropic": "x-api-key",
        "groq": "bearer",
        "gemini": "bearer",
        "azure": "api-key",
    }
    assert PROVIDERS["anthropic"].auth_by_endpoint == {"chat.completions": "bearer"}


def test_stream_usage_is_asked_for_only_where_it_is_missing() -> None:
    assert {id for id, p in PROVIDERS.items() if p.asks_for_stream_usage} == {"openai", "gemini", "azure"}


def test_messages_are_anthropics_and_groq_has_no_embeddings() -> None:
    # wire-facts.md section 4: Azure has them for Claude on Foundry.
    assert [id for id, p in PROVIDERS.items() if "messages" in p.endpoints] == ["anthropic", "azure"]
    assert "embeddings" not in PROVIDERS["groq"].endpoints
    assert all("chat.completions" in p.endpoints for p in PROVIDERS.values())


@pytest.mark.parametrize("id", PROVIDERS)
def test_patterns_are_anchored_and_everything_compiles(id: str) -> None:
    match = PROVIDERS[id].match
    assert all(pattern.startswith("^") for pattern in match.patterns)
    assert all(prefix == prefix.lower() and prefix for prefix in match.prefixes)
    for pattern in (*match.patterns, *match.never):
        re.compile(pattern)
