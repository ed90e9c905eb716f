"""The 1,500 ids of data/model_ids.tsv against the registry, and names that nobody has ever seen."""

import csv
import random
from datetime import date

import pytest

from app.catalog.catalog import Catalog, normalise
from app.catalog.load import load_catalog
from app.detection.detect import detect
from tests.detection.catalogs import PROVIDER_IDS, REGISTRY, small_catalog
from tests.detection.conftest import counted
from tests.shared_data import shared_data

# id -> why Lectr's answer differs from the list's. Empty: there is nothing to explain.
EXCEPTIONS: dict[str, str] = {}
BY_NAME = ("exact", "prefix")
TODAY = date(2026, 11, 22)
MUTATIONS = 1_000


@pytest.fixture(scope="module")
def registry() -> Catalog:
    return load_catalog(REGISTRY)


def expected_ids() -> list[tuple[str, str]]:
    with shared_data("model_ids.tsv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["model_id"], row["expected_provider"]) for row in rows]


def detected(catalog: Catalog, model: str) -> str:
    answer = detect(catalog, model=model)
    return answer.provider if answer.detected_by in BY_NAME else "unknown"


def differing(catalog: Catalog, label: str) -> dict[str, tuple[str, str]]:
    ids = expected_ids()
    wrong = {model: (provider, found) for model, provider in ids if (found := detected(catalog, model)) != provider}
    counted.append(f"detection of model_ids.tsv by {label}: {len(ids) - len(wrong)} of {len(ids)} as listed")
    return wrong


def test_every_id_gets_its_provider(registry: Catalog) -> None:
    assert set(differing(registry, "registry and clauses")) == set(EXCEPTIONS)


def test_the_clauses_alone_know_them_too() -> None:
    # A model that is not listed yet must be recognised by its name's form.
    assert set(differing(small_catalog(), "clauses alone")) == set(EXCEPTIONS)


@pytest.mark.parametrize(
    ("model", "provider"),
    [("gpt-9-turbo", "openai"), ("claude-next-20270101", "anthropic"), ("o7-mini", "openai")],
)
def test_names_never_seen_go_to_the_right_provider(registry: Catalog, model: str, provider: str) -> None:
    answer = detect(registry, model=model)
    assert (answer.provider, answer.detected_by) == (provider, "prefix")
    assert registry.price_at(provider, model, TODAY) is None


def test_every_listed_model_is_detected_as_its_own(registry: Catalog) -> None:
    wrong = [
        (model.provider, name)
        for model in registry.models
        if model.served and model.provider != "azure"
        for name in (model.id, *model.aliases)
        if detected(registry, name) != model.provider
    ]
    assert wrong == []


def mutated(rng: random.Random, name: str) -> str:
    at = rng.randrange(len(name))
    digit = str(rng.randrange(10))
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    return rng.choice(
        [
            name[:at] + name[at + 1 :],
            name[:at] + letter + name[at:],
            name[:at] + digit + name[at + 1 :],
            f"{name}-{rng.choice(['mini', 'pro', 'turbo', 'preview', 'nano', 'audio', 'high', 'fast', 'x'])}",
            f"{name}-{rng.choice(['1106', '0125', '32k', '8192', 'v2', '2', '20261', '2026-13'])}",
            f"{name}{rng.choice(['.ft', ':free', '@20251101', '[1m]', '/x', ' x', '-', '_'])}",
            f"{rng.choice(['us/', 'openai/', 'x-', 'eu.', 'my-'])}{name}",
        ]
    )


def test_no_mutated_name_gets_a_confident_price(registry: Catalog) -> None:
    rng = random.Random(20261122)
    names = sorted({name for model in registry.models for name in (model.id, *model.aliases)})
    listed = {normalise(name) for name in names}
    strange: list[str] = []
    while len(strange) < MUTATIONS:
        candidate = mutated(rng, rng.choice(names))
        # A mutation may hit upon another listed name, and behind ft:<base>: anything may stand: those have a price
        # of their own by right.
        if normalise(candidate) not in listed and not candidate.startswith("ft:"):
            strange.append(candidate)
    confident = [
        (provider, name)
        for name in strange
        for provider in PROVIDER_IDS
        if (match := registry.price_at(provider, name, TODAY)) is not None and not match.by_base
    ]
    assert confident == []
