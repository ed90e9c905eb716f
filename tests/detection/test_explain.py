"""`explain` gives the answer of `detect`, and says why without saying the key."""

from hypothesis import given
from hypothesis import strategies as st

from app.detection.detect import detect
from app.detection.explain import explain
from tests.detection.catalogs import LISTED, small_catalog

CATALOG = small_catalog()

names = st.one_of(
    st.none(),
    st.sampled_from([*LISTED, "gpt-oss-120b", "claude-x", "openai/gpt-4o", "prod-chat", " GPT-4O ", "models/gemini-x"]),
    st.text(max_size=40),
)
paths = st.sampled_from(["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/files"])
headers = st.one_of(st.none(), st.sampled_from(["azure", "Groq", "openai", "nobody", " "]), st.text(max_size=10))
defaults = st.sampled_from([None, "azure", "gemini", "gone"])
secret = "S3CRET"
keys = st.one_of(st.none(), st.sampled_from([f"{shape}{secret}" for shape in ("sk-ant-", "gsk_", "AIza", "sk-", "x")]))


@given(model=names, path=paths, header=headers, default=defaults, key=keys)
def test_explain_and_detect_agree(
    model: str | None, path: str, header: str | None, default: str | None, key: str | None
) -> None:
    short = detect(CATALOG, model=model, path=path, provider_header=header, key_default=default, provider_key=key)
    full = explain(CATALOG, model=model, path=path, provider_header=header, key_default=default, provider_key=key)
    assert (full.provider, full.detected_by, full.flags, full.recognised) == (
        short.provider,
        short.detected_by,
        short.flags,
        short.recognised,
    )
    assert full.trace[-1].rule == short.detected_by
    assert full.trace[-1].outcome.startswith(CATALOG.providers[short.provider].name)
    told = " ".join(step.outcome for step in full.trace) + " ".join(full.flags)
    assert secret not in told


def steps(**asked: str | None) -> list[tuple[str, str]]:
    model = asked.pop("model")
    path = asked.pop("path", None) or "/v1/chat/completions"
    return [(step.rule, step.outcome) for step in explain(CATALOG, model=model, path=path, **asked).trace]


def test_every_rule_tried_stands_in_the_trace() -> None:
    rules = [rule for rule, _ in steps(model="prod-chat")]
    assert rules == ["header", "key_default", "exact", "prefix", "endpoint", "key_shape", "default"]
    assert [rule for rule, _ in steps(model="gpt-4o")] == ["header", "key_default", "exact"]


def test_a_refused_prefix_is_told() -> None:
    told = dict(steps(model="gpt-oss-120b"))["prefix"]
    assert (
        told == "no prefix or pattern leads to a provider; OpenAI's gpt- fits, but its never-clause ^gpt-oss does too"
    )


def test_an_ignored_header_is_told_without_its_value() -> None:
    told = dict(steps(model="gpt-4o", provider_header="gsk_slipped"))["header"]
    assert told == "ignored: the value is none of openai, anthropic, groq, gemini, azure"


def test_the_winning_key_closes_the_trace() -> None:
    told = steps(model="gpt-4o", provider_header="azure", provider_key=f"sk-ant-{secret}")
    assert told == [
        ("header", "Azure OpenAI: X-Lectr-Provider names it"),
        ("key_shape", "Anthropic: the key begins with sk-ant-, and such a key never goes to Azure OpenAI"),
    ]


def test_near_misses_only_where_the_name_is_not_listed() -> None:
    assert explain(CATALOG, model="gpt-4p").near_misses == ("gpt-4o",)
    assert explain(CATALOG, model="gpt-4o").near_misses == ()
    assert explain(CATALOG, model=None).near_misses == ()


def test_several_claimants_are_named() -> None:
    assert explain(CATALOG, model="shared-model").ambiguous == ("openai", "groq")
    assert explain(CATALOG, model="gpt-4o").ambiguous == ()
