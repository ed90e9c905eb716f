"""`lectr registry check`: the registry is sound, and each kind of fault is found and named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.catalog.check import check_registry
from tests.catalog.conftest import REGISTRY

Edit = Callable[[str, str, str], Path]
GROQ = "models/groq.toml"
OPENAI = "models/openai.toml"
LISTED = '"llama-3.1-70b-versatile", aggressive'
LIVING = 'living = { conservative = "openai/gpt-oss-20b"'


def test_the_registry_is_sound() -> None:
    assert [str(fault) for fault in check_registry(REGISTRY)] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (OPENAI, "routing_target = true", "routing_taget = true", "did you mean routing_target?"),
        (OPENAI, 'id = "babbage-002"', 'id = "aaa"', "ids are sorted"),
        (OPENAI, 'id = "babbage"', 'id = "ada"', "ada stands here twice"),
        (GROQ, LISTED, '"gpt-4o-mini", aggressive', "never crosses providers"),
        (GROQ, LISTED, '"no-such-model", aggressive', "no model of groq"),
        (GROQ, LISTED, '"llama-3.2-90b-vision", aggressive', "of itself"),
        (GROQ, LISTED, '"mistral-saba-24b", aggressive', "no routing target"),
        (GROQ, LIVING, 'living = { conservative = "llama-3.1-8b-instant"', "is not alive on 2026-11-22 (retired)"),
        (GROQ, LIVING, 'living = { conservative = "qwen/qwen3.8-27b"', "does not cost less"),
        (OPENAI, 'replacement = "gpt-6-luna"', 'replacement = "gpt-6-lunar"', "openai lists no gpt-6-lunar"),
        (
            OPENAI,
            'status = "deprecated", ends = 2026-12-01',
            'status = "alive", ends = 2026-12-01',
            "deprecated, not alive",
        ),
        (
            OPENAI,
            'status = "retired", ends = 2026-02-17',
            'status = "deprecated", ends = 2026-02-17',
            "is deprecated and ends on 2026-02-17",
        ),
        (OPENAI, 'aliases = ["computer-use-preview-2025-03-11"]', 'aliases = ["gpt-4o-2024-08-06"]', "is claimed by"),
        (GROQ, 'not_aliases = ["gemma2-9b"]', 'not_aliases = ["gemma3"]', "no alias in the price list any more"),
        ("policy.toml", '"gpt-4o",', '"gpt-9",', "gpt-9 is no routing target"),
        ("policy.toml", '"gpt-4o",', "", "gpt-4o is missing here"),
        ("policy.toml", '"azure"]', "]", "must name exactly"),
        ("policy.toml", 'short = "never"', 'short = "aggressive"', "reasoning is never advised"),
        ("policy.toml", 'short = "moderate"', 'short = "bold"', "'bold' is none of"),
        ("policy.toml", 'name = "extraction"', 'name = "extract"', "must have exactly"),
        ("policy.toml", 'value = "0.25"', 'value = "a lot"', "is no number"),
        ("providers/groq.toml", 'key_prefixes = ["gsk_"]', 'key_prefixes = ["sk-ant-"]', "is also one of anthropic"),
        ("providers/groq.toml", "'^gemma2-9b-it", "'gemma2-9b-it", "is not anchored"),
        ("providers/groq.toml", "'^gemma2-9b-it", "'^gemma2-(9b-it", "is no regular expression"),
        ("providers/openai.toml", '"gpt-",', '"gpt-",\n"llama-3.1-70b-",', "is a model of groq, and matched by openai"),
        ("prices.json", '"generated_on": "2026-11-22"', '"generated_on": 5', "prices.json"),
        ("prices.json", '"input_mtok": "8"', '"input_mtok": "-8"', "models[0].prices[0].rates.input_mtok"),
    ],
)
def test_each_fault_is_found_and_names_its_file(edited: Edit, file: str, old: str, new: str, said: str) -> None:
    faults = [str(fault) for fault in check_registry(edited(file, old, new))]
    assert any(said in fault and fault.startswith(file) for fault in faults), faults


@pytest.mark.parametrize("key", ["tools", "context_tokens", "checked", "source"])
def test_a_missing_capability_of_a_living_downgrade_is_found(registry_copy: Path, key: str) -> None:
    path = registry_copy / "models" / "groq.toml"
    head, tail = path.read_text(encoding="utf-8").split('id = "openai/gpt-oss-20b"')
    lines = tail.splitlines(keepends=True)
    dropped = next(index for index, line in enumerate(lines) if line.startswith(f"{key} ="))
    path.write_text(
        head + 'id = "openai/gpt-oss-20b"' + "".join(lines[:dropped] + lines[dropped + 1 :]), encoding="utf-8"
    )
    faults = [str(fault) for fault in check_registry(registry_copy)]
    assert faults
    assert all(fault.startswith("models/groq.toml: model[") for fault in faults)
    assert any(key in fault for fault in faults)


def test_every_file_with_a_fault_is_named_at_once(edited: Edit, registry_copy: Path) -> None:
    edited(GROQ, "schema = 1", "skema = 1")
    edited("policy.toml", "schema = 1", "skema = 1")
    (registry_copy / "prices.json").unlink()
    faults = check_registry(registry_copy)
    assert sorted(fault.file for fault in faults) == ["models/groq.toml", "policy.toml", "prices.json"]


def test_a_list_out_of_order_is_found(registry_copy: Path) -> None:
    path = registry_copy / "prices.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"id": "claude-2"', '"id": "claude-zz"', 1), encoding="utf-8"
    )
    assert any("is not sorted" in str(fault) for fault in check_registry(registry_copy))
