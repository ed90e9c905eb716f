"""Which endings come off a name to find its price, and which name a model of their own."""

import pytest

from app.catalog.names import fine_tune_base, is_name, normalise, without_date


@pytest.mark.parametrize(
    ("written", "compared"),
    [(" GPT-4o\n", "gpt-4o"), ("models/gemini-2.5-pro", "gemini-2.5-pro"), ("Models/Gemini-2.5-Pro", "gemini-2.5-pro")],
)
def test_names_are_trimmed_lowered_and_lose_a_leading_models(written: str, compared: str) -> None:
    assert normalise(written) == compared


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-5-nano-2025-08-07", "gpt-5-nano"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("gpt-4-1106", None),
        ("gpt-4-1106-preview", None),
        ("o1-mini", None),
        ("gpt-4o-2024-13-01", None),
        ("gpt-4o-20240732", None),
        ("gpt-4o-2024-05-13-preview", None),
        ("gpt-4o-٢٠٢٤-٠٥-١٣", None),
        ("gemini-2.0-flash-001", None),
        ("-latest", None),
        ("x" * 300 + "-latest", None),
    ],
)
def test_only_a_date_or_latest_comes_off(name: str, base: str | None) -> None:
    assert without_date(name, "openai") == base


def test_numbered_versions_come_off_gemini_names_only() -> None:
    assert without_date("gemini-2.0-flash-001", "gemini") == "gemini-2.0-flash"
    assert without_date("gemini-2.0-flash-101", "gemini") is None
    assert without_date("gemini-2.0-flash-001", "groq") is None


@pytest.mark.parametrize(
    ("name", "base"),
    [("ft:gpt-4o:acme::x1", "ft:gpt-4o"), ("ft:gpt-4o", "ft:gpt-4o"), ("ft:", None), ("gpt-4o", None)],
)
def test_a_fine_tune_is_looked_up_as_its_listed_base(name: str, base: str | None) -> None:
    assert fine_tune_base(name) == base


@pytest.mark.parametrize("name", ["", "Upper", "two words", "a\tb", "models/x", "\x00", "x" * 201])
def test_what_cannot_stand_in_the_registry_is_no_name(name: str) -> None:
    assert not is_name(name)
