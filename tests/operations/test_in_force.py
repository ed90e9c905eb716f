"""What the team has put on the registry is in force, and what cannot be used stops nothing."""

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from app.catalog.catalog import Catalog
from app.catalog.schema import Override
from app.ledger.team import TeamStore
from app.operations.in_force import catalog_in_force

ALIAS = Override(1, "alias", "openai", "gpt-4o", "house-model", {}, None, "")
BROKEN = Override(2, "alias", "openai", "not-listed", "other", {}, None, "")


def team(*overrides: Override, price_list: bytes | None = None) -> TeamStore:
    return cast(TeamStore, SimpleNamespace(overrides=overrides, price_list=price_list))


def newer(shipped: Catalog) -> bytes:
    document: dict[str, Any] = json.loads((shipped.registry_dir / "prices.json").read_bytes())
    document["generated_on"] = "2026-12-05"
    return json.dumps(document).encode()


def test_nothing_of_the_teams_is_the_registry(shipped: Catalog) -> None:
    assert [m.id for m in catalog_in_force(shipped, team(), shipped).models] == [m.id for m in shipped.models]


def test_overrides_and_an_imported_list_are_in_it(shipped: Catalog) -> None:
    found = catalog_in_force(shipped, team(ALIAS, price_list=newer(shipped)), shipped)
    assert found.listed_on.isoformat() == "2026-12-05"
    model = found.find("house-model")
    assert model is not None
    assert model.id == "gpt-4o"
    assert shipped.find("house-model") is None


def test_an_override_that_cannot_be_leaves_in_force_what_was(shipped: Catalog) -> None:
    before = catalog_in_force(shipped, team(ALIAS), shipped)
    assert catalog_in_force(shipped, team(ALIAS, BROKEN), before) is before


def test_a_list_that_cannot_be_used_leaves_the_overrides_in_force(shipped: Catalog) -> None:
    for content in (b"", b"{", b'{"generated_on": "2020-01-01", "models": []}'):
        found = catalog_in_force(shipped, team(ALIAS, price_list=content), shipped)
        assert found.listed_on == shipped.listed_on
        assert found.find("house-model") is not None


def test_a_price_of_the_teams_wins_over_an_imported_one(shipped: Catalog) -> None:
    price = Override(3, "price", "openai", "gpt-4o", None, {"input_mtok": Decimal("0.5")}, None, "")
    found = catalog_in_force(shipped, team(price, price_list=newer(shipped)), shipped)
    match = found.price_at("openai", "gpt-4o", found.listed_on)
    assert match is not None
    assert (match.price.rates["input_mtok"], match.price.entry) == (Decimal("0.5"), "team:3:openai/gpt-4o@always")
