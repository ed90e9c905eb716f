"""No key is written down as the name of something."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable

import pytest

from app.domain import LedgerEntry, Outcome
from app.ledger.hiding import HIDDEN, hide_in_row, hide_in_start, telling_parts
from app.ledger.started import Started

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
LECTR = "lc_key_" + "a" * 32


def row(**texts: str | None) -> LedgerEntry:
    return LedgerEntry(
        id="1", started_at_us=1, finished_at_us=2, key="plain", provider="openai", detected_by="exact",
        endpoint="chat.completions", outcome=Outcome.OK, **texts,  # type: ignore[arg-type]
    )  # fmt: skip


FIELDS = ("request_model", "response_model", "error_code", "service_tier", "feature", "task", "provider_request_id")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("said", [KEY, KEY[:20], KEY[-20:], KEY[:-1], f"model {KEY} of yours", LECTR, "x" + LECTR])
def test_no_field_keeps_a_key_or_a_part_of_one(field: str, said: str) -> None:
    entry = row(**{field: said})
    hide_in_row(entry, telling_parts((KEY, None)))
    kept = getattr(entry, field)
    assert HIDDEN in kept
    assert not any(part in kept for part in (KEY[:20], KEY[-20:], KEY[10:30], "lc_key", "aaaaaaaa"))


@pytest.mark.parametrize("key", [KEY, KEY[:20], KEY[:12]])
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_nor_a_key_in_base64_wherever_it_stands_in_there(
    key: str, before: int, encode: Callable[[bytes], bytes]
) -> None:
    whole = b"u" * before + key.encode() + b":v1"
    entry = row(response_model=f"m {encode(whole).decode()}", provider_request_id=encode(whole).decode())
    hide_in_row(entry, telling_parts((key,)))
    for kept in (entry.response_model, entry.provider_request_id):
        assert kept is not None
        assert HIDDEN in kept
        assert len(kept) < 12


def test_a_key_of_any_characters_is_taken() -> None:
    assert "\udcffé" + KEY[:18] in telling_parts(("\udcffé" + KEY,))


def test_usage_stays_json() -> None:
    entry = row(usage_json=f'{{"{KEY}":1,"model":"{KEY}","prompt_tokens":9}}')
    hide_in_row(entry, telling_parts((KEY,)))
    assert entry.usage_json == '{"[key]":1,"model":"[key]","prompt_tokens":9}'


def test_usage_that_is_no_json_without_the_key_is_not_kept() -> None:
    entry = row(usage_json='{"prompt_tokens":123456789012}')
    hide_in_row(entry, telling_parts(("123456789012",)))
    assert entry.usage_json is None


@pytest.mark.parametrize("key", ["sk-x", "gpt-4o-mini", "", None, "gpt-4o-mini-2024-07-18-and-more"])
def test_what_is_no_key_stays(key: str | None) -> None:
    """Also with a key that is no provider's: a short one could be a part of any name."""
    texts = dict.fromkeys(FIELDS, "gpt-4o-mini-2024-07") | {"usage_json": '{"prompt_tokens":9}', "task": None}
    entry = row(**texts)
    hide_in_row(entry, telling_parts((key,)))
    assert {name: getattr(entry, name) for name in texts} == texts


def test_the_note_before_the_request_keeps_none_either() -> None:
    known = {"id": "1", "started_at_us": 1, "key": "plain", "endpoint": "messages"}
    parts = telling_parts((KEY,))
    hidden = hide_in_start(Started(**known, request_model=KEY, feature=LECTR, task="generation"), parts)  # type: ignore[arg-type]
    assert (hidden.request_model, hidden.feature, hidden.task) == (HIDDEN, HIDDEN, "generation")
    plain = Started(**known, request_model="gpt-4o")  # type: ignore[arg-type]
    assert hide_in_start(plain, parts) is plain
