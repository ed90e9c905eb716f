"""A registry that cannot be used is named with file and path, and nothing is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.catalog.load import load_catalog
from app.errors import RegistryError
from tests.catalog.conftest import REGISTRY

Edit = Callable[[str, str, str], Path]
_CAP = 'source = "seed list of 2026-11-22'


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "models/openai.toml",
            "lifecycle = {",
            "lifecyle = {",
            "models/openai.toml: model[0].lifecyle: unknown key; did you mean lifecycle?",
        ),
        (
            "models/openai.toml",
            'lifecycle = { status = "retired",',
            'lifecycle = { state = "retired",',
            "models/openai.toml: model[0].lifecycle.state: unknown key; did you mean status?",
        ),
        ("models/openai.toml", 'id = "ada"', "id = 3", "models/openai.toml: model[0].id: expected `str`, got `int`"),
        ("models/openai.toml", "schema = 1", "schema = ", "models/openai.toml: is no TOML: "),
        ("models/openai.toml", 'status = "retired"', 'status = "gone"', "model[0].lifecycle.status: 'gone' is unknown"),
        ("models/openai.toml", 'source = "from', 'source = "" #', "is no TOML"),
        ("models/openai.toml", _CAP, 'source = "  "\nchecked = 2026-11-22 #', "is no TOML"),
        ("models/openai.toml", 'price_of = "computer-use"', 'price_of = "nothing"', "price_of names nothing"),
        ("models/openai.toml", 'mode = "completion"', 'mode = "telepathy"', "model[0].mode: 'telepathy' is unknown"),
        ("overrides.toml", 'input_mtok = "0.0375"', "input_mtok = 0.0375", "overrides.toml: override[0].price[0]"),
        ("overrides.toml", 'input_mtok = "0.0375"', 'input_mtok = "-1"', "override[0].price[0].rates.input_mtok: '-1'"),
        ("overrides.toml", 'input_mtok = "0.0375"', 'input_tok = "1"', "rates.input_tok: unknown unit"),
        (
            "overrides.toml",
            'provider = "gemini"',
            'provider = "google"',
            "override[0].provider: 'google' is no provider",
        ),
        ("overrides.toml", 'source = "genai', 'sauce = "genai', "override[0].price[0].sauce: unknown key"),
        ("overrides.toml", "reason = ", "# reason = ", "overrides.toml: override[0]: "),
        (
            "overrides.toml",
            'rates = { input_mtok = "0.90"',
            'until = 2025-01-01\nrates = { input_mtok = "0.90"',
            "holds on",
        ),
        ("policy.toml", "[[task]]", "[[tsk]]", "policy.toml: tsk: unknown key; did you mean task?"),
        ("providers/groq.toml", 'id = "groq"', 'id = "grok"', "providers/groq.toml: id: is grok"),
        ("providers/groq.toml", 'auth = "bearer"', 'auth = "magic"', "providers/groq.toml: auth: 'magic'"),
        ("prices.json", '"schema": 1', '"schema": 2', "prices.json: schema: is 2"),
        (
            "prices.json",
            '"input_mtok": "8"',
            '"input_mtok": "eight"',
            "prices.json: models[0].prices[0].rates.input_mtok",
        ),
    ],
)
def test_a_fault_is_named_with_file_and_path(edited: Edit, file: str, old: str, new: str, said: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load_catalog(edited(file, old, new))
    assert said in str(caught.value)
    assert str(caught.value).startswith(file)


@pytest.mark.parametrize("file", ["prices.json", "policy.toml"])
def test_a_missing_file_is_named(registry_copy: Path, file: str) -> None:
    (registry_copy / file).unlink()
    with pytest.raises(RegistryError, match=f"{file}: cannot be read: No such file"):
        load_catalog(registry_copy)


def test_a_registry_without_providers_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes((REGISTRY / "policy.toml").read_bytes())
    with pytest.raises(RegistryError, match="has no provider"):
        load_catalog(tmp_path)


def test_a_file_that_is_not_utf_8_is_named(registry_copy: Path) -> None:
    (registry_copy / "models" / "groq.toml").write_bytes(b"\xff")
    with pytest.raises(RegistryError, match=r"models/groq\.toml: is not UTF-8"):
        load_catalog(registry_copy)


def test_a_provider_more_is_two_files(registry_copy: Path) -> None:
    groq = (registry_copy / "providers" / "groq.toml").read_text(encoding="utf-8")
    (registry_copy / "providers" / "acme.toml").write_text(groq.replace('id = "groq"', 'id = "acme"'), encoding="utf-8")
    (registry_copy / "models" / "acme.toml").write_text(
        'schema = 1\n[[model]]\nid = "acme-1"\n[[model.price]]\nrates = { input_mtok = "1", output_mtok = "2" }\n'
        'source = "Acme price page"\nchecked = 2026-11-22\n',
        encoding="utf-8",
    )
    catalog = load_catalog(registry_copy)
    assert list(catalog.providers)[-1] == "acme"
    match = catalog.price_at("acme", "acme-1", catalog.listed_on)
    assert match is not None
    assert match.price.entry == "models:acme/acme-1@always"
