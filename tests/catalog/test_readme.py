"""registry/README.md names every key of the files, and no key that is none."""

import re

import msgspec

from app.catalog import price_list
from app.catalog.files import file_shapes
from app.catalog.rules import AUTHS, MODES, STATUSES
from tests.catalog.conftest import REGISTRY

_JSON = (price_list.PriceList, price_list.PriceListSource, price_list.TokenPrices, price_list.PricePeriod,
         price_list.PriceVariant, price_list.TierRow)  # fmt: skip
_TEXT = (REGISTRY / "README.md").read_text(encoding="utf-8")
# Words in code type that name files, values and settings, not keys.
_NO_KEYS = {
    "registry", "always", "input_mtok", "cache_write_mtok", "cache_write_5m_mtok", "price_by_base", "model", "false",
    "aggressive", "moderate", "conservative", "never",
}  # fmt: skip


def _keys() -> set[str]:
    shapes: tuple[type[msgspec.Struct], ...] = (*file_shapes(), *_JSON)
    return {field.encode_name for shape in shapes for field in msgspec.structs.fields(shape)}


def _named() -> set[str]:
    quoted = [text for text in re.findall(r"`([^`\n]+)`", _TEXT) if not text.endswith((".toml", ".json"))]
    plain = {
        match
        for text in quoted
        for match in re.findall(r"^(?:\[\[?)?([a-z_]+)(?:\.[a-z<>]+)?(?:\]\]?)?(?: = .*)?$", text)
    }
    return plain | {part for text in quoted for part in re.findall(r"^\[\[?[a-z]+\.([a-z]+)\]\]?$", text)}


def test_every_key_of_the_files_is_in_the_readme() -> None:
    assert _keys() - _named() == set()


def test_every_key_the_readme_names_is_a_key_of_the_files() -> None:
    assert _named() - _keys() - _NO_KEYS - {*MODES, *STATUSES, *AUTHS} == set()
