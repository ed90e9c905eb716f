"""Threats 10, 13 and 45: a key goes to its own company alone, and a Lectr key is compared whole."""

import itertools
import json

import pytest

from tests.edge.asking import CERTAIN, MODELS, SHAPES, asking
from tests.edge.provider import Provider
from tests.running import Lectr

COMPANIES = ("openai", "anthropic", "groq", "gemini", "azure")


@pytest.mark.parametrize("shape", CERTAIN)
@pytest.mark.parametrize("header", COMPANIES)
def test_t10_a_key_with_a_shape_goes_to_no_other_company(
    lectr: Lectr, provider: Provider, shape: str, header: str
) -> None:
    since = len(provider.seen)
    for number, (model, field) in enumerate(
        itertools.product((*MODELS.values(), "unknown"), ("authorization", "x-api-key", "api-key"))
    ):
        key = SHAPES[shape]
        headers = {"x-lectr-provider": header, field: f"Bearer {key}" if field == "authorization" else key}
        path = "/v1/messages" if number % 2 else "/v1/chat/completions"
        lectr.call(path, asking(model), headers, provider_key=None)
    reached = [seen for seen in provider.seen[since:] if SHAPES[shape] in json.dumps(seen.headers)]
    assert reached
    assert {seen.target.split("/")[1] for seen in reached} == {shape}


def test_t45_no_near_miss_of_a_key_is_that_key(lectr: Lectr, provider: Provider) -> None:
    """Not its beginning, its case, a look-alike, or anything that some normalisation would fold into it."""
    since, key = len(provider.seen), lectr.keys["plain"]
    near = {
        key[:20],
        key[:-1],
        key + "a",
        key.upper(),
        key.swapcase(),
        key[::-1],
        key + "\u200b",
        key.replace("k", "\u212a"),
    }
    near |= {key[:at] + chr(ord(key[at]) ^ 1) + key[at + 1 :] for at in range(7, len(key))}
    near |= {key[:at] + key[at].swapcase() + key[at + 1 :] for at in range(7, len(key)) if key[at].isalpha()}
    near |= {key[:20] + f"{number:019d}" for number in range(200)}
    for one in near - {key}:
        headers = {"x-lectr-key": one}
        if one.isascii():
            assert lectr.call(body=asking(), headers=headers).status == 401
            assert lectr.call(body=asking(), headers={"authorization": f"Bearer {one}"}, key=None).status == 401
        else:
            assert lectr.call(body=asking(), headers=headers).status in (400, 401)
    assert len(provider.seen) == since
