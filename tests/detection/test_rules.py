"""The order of the rules, and the key that wins over them (product.md section 3)."""

import pytest

from app.detection.detect import Detector, Question, detect
from app.domain import Detection
from tests.detection.catalogs import small_catalog

CATALOG = small_catalog()
ANTHROPIC_KEY, GROQ_KEY, GEMINI_KEY = "sk-ant-api03-xyz", "gsk_xyz", "AIzaSyXyz"
OPENAI_KEY, OTHER_KEY = "sk-proj-xyz", "0123456789abcdef"


def ask(model: str | None = "gpt-4o", **rest: str | None) -> Detection:
    path = rest.pop("path", None) or "/v1/chat/completions"
    return detect(CATALOG, model=model, path=path, **rest)


def result(answer: Detection) -> tuple[str, str, tuple[str, ...]]:
    return answer.provider, answer.detected_by, answer.flags


def test_each_rule_answers_where_those_before_it_do_not() -> None:
    assert result(ask(provider_header="Groq ", key_default="azure")) == ("groq", "header", ())
    assert result(ask(key_default="azure")) == ("azure", "key_default", ())
    assert result(ask("openai/gpt-oss-120b")) == ("groq", "exact", ())
    assert result(ask("claude-next-20270101")) == ("anthropic", "prefix", ())
    assert result(ask("prod-chat", path="/v1/messages")) == ("anthropic", "endpoint", ())
    assert result(ask("prod-chat", provider_key=GROQ_KEY)) == ("groq", "key_shape", ())
    assert result(ask("prod-chat", provider_key=OTHER_KEY)) == ("openai", "default", ("provider_unknown",))


@pytest.mark.parametrize("value", ["openrouter", "gpt-4o", "open ai", "azure,openai"])
def test_a_wrong_header_is_flagged_and_detection_goes_on(value: str) -> None:
    assert result(ask(provider_header=value)) == ("openai", "exact", ("override_ignored",))


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_header_is_as_good_as_none(value: str) -> None:
    assert result(ask(provider_header=value)) == ("openai", "exact", ())


def test_a_key_default_that_is_no_provider_any_more_is_passed_over() -> None:
    assert result(ask(key_default="mistral")) == ("openai", "exact", ())


@pytest.mark.parametrize("value", ["openai", "OPENAI", " Anthropic ", "groq", "gemini", "AZURE"])
def test_header_values_in_any_case(value: str) -> None:
    assert result(ask("prod-chat", provider_header=value)) == (value.strip().lower(), "header", ())


@pytest.mark.parametrize(("key", "company"), [(ANTHROPIC_KEY, "anthropic"), (GROQ_KEY, "groq"), (GEMINI_KEY, "gemini")])
@pytest.mark.parametrize("header", [None, "openai", "anthropic", "groq", "gemini", "azure"])
@pytest.mark.parametrize("model", ["gpt-4o", "claude-3-haiku-20240307", "gemma2-9b-it", "gemini-2.5-flash", "nobody"])
def test_a_company_key_never_goes_to_another_company(key: str, company: str, header: str | None, model: str) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/files"):
        for default in (None, "azure", "openai"):
            answer = ask(model, path=path, provider_header=header, key_default=default, provider_key=key)
            assert answer.provider == company


def test_the_key_that_wins_says_so() -> None:
    assert result(ask(provider_key=ANTHROPIC_KEY)) == ("anthropic", "key_shape", ("key_mismatch",))
    assert result(ask(key_default="openai", provider_key=GROQ_KEY)) == ("groq", "key_shape", ("key_mismatch",))
    assert result(ask(provider_header="azure", provider_key=GEMINI_KEY)) == (
        "gemini",
        "key_shape",
        ("key_mismatch", "override_ignored"),
    )


def test_a_key_that_agrees_changes_nothing() -> None:
    assert result(ask("claude-opus-9", provider_key=ANTHROPIC_KEY)) == ("anthropic", "prefix", ())
    assert result(ask(None, provider_header="groq", provider_key=GROQ_KEY)) == ("groq", "header", ())


def test_other_keys_go_where_the_model_leads() -> None:
    for key in (OPENAI_KEY, OTHER_KEY, "eyJhbGciOi.x.y", "sk-or-v1-xyz"):
        assert result(ask("claude-opus-9", provider_key=key)) == ("anthropic", "prefix", ())
        assert result(ask(provider_header="azure", provider_key=key)) == ("azure", "header", ())


def test_any_other_key_with_an_unknown_model_goes_to_openai_flagged() -> None:
    assert result(ask("prod-chat", provider_key=OPENAI_KEY)) == ("openai", "key_shape", ("provider_unknown",))
    assert result(ask("prod-chat", provider_key=None)) == ("openai", "default", ("provider_unknown",))


def test_paths_without_a_model_follow_the_key() -> None:
    assert result(ask(None, path="/v1/files", provider_key=OPENAI_KEY)) == ("openai", "key_shape", ())
    assert result(ask(None, path="/v1/files", provider_key=ANTHROPIC_KEY)) == ("anthropic", "key_shape", ())
    assert result(ask(None, path="/v1/files")) == ("openai", "default", ("provider_unknown",))


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/", "/v1/messages/batches", "/v1/messages/count_tokens"])
def test_messages_paths_are_anthropics(path: str) -> None:
    assert result(ask(None, path=path)) == ("anthropic", "endpoint", ())


@pytest.mark.parametrize("path", ["/v1/messagesque", "/v1/message", "/v1/threads/messages"])
def test_paths_that_only_look_like_messages_are_not(path: str) -> None:
    assert ask(None, path=path).detected_by == "default"


def test_a_model_wins_over_the_messages_path() -> None:
    assert result(ask("gpt-4o", path="/v1/messages")) == ("openai", "exact", ())


def test_only_the_default_is_not_recognised() -> None:
    assert not ask("prod-chat").recognised
    assert ask("prod-chat", provider_key=OPENAI_KEY).recognised
    assert ask("gpt-4o").recognised


def test_a_name_too_long_to_be_one_is_nobodys() -> None:
    assert ask("claude-" + ":1b-" * 1_000_000 + "\n!").detected_by == "default"


def test_long_paths_and_headers_are_answered_and_not_kept() -> None:
    detector = Detector(CATALOG)
    for path, header in (("/v1/" + "x" * 600, None), ("/v1/files", "x" * 600), ("/v1/files", "groq")):
        detector.detect(Question(model=None, path=path, provider_header=header, key_default=None, provider_key=None))
    assert len(detector._answers) == 1
