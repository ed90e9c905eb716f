"""OpenAI's SDK for Azure: `base_url` works, `azure_endpoint` gets a 404 that says what to write instead."""

from collections.abc import Iterator

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from app.demo.standin import StandIn
from tests.api.serving import Lectr
from tests.clients.conftest import BOX_KEY
from tests.clients.seen import QUESTION, cost, only_row, same_both_ways

VERSION = "2024-10-21"


@pytest.fixture
def directly(direct: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(azure_endpoint=f"{direct}/azure", api_key="any", api_version=VERSION, max_retries=0) as client:
        yield client


@pytest.fixture
def through(lectr: Lectr, feature: str) -> Iterator[AzureOpenAI]:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    with AzureOpenAI(
        base_url=f"{lectr.url}/v1", api_key="any", api_version=VERSION, default_headers=headers, max_retries=0
    ) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_sdk_sees_the_same(
    lectr: Lectr, standin: StandIn, directly: AzureOpenAI, through: AzureOpenAI, feature: str, stream: bool
) -> None:
    def call(client: AzureOpenAI) -> object:
        answer = client.chat.completions.create(model="prod-chat", messages=QUESTION, stream=stream)
        return list(answer) if stream else answer

    same_both_ways(call, directly, through)
    seen = standin.seen[-1]
    assert seen.path == "/azure/openai/deployments/prod-chat/chat/completions"
    assert f"api-version={VERSION}" in seen.query
    assert (seen.headers["api-key"], "authorization" in seen.headers) == ("any", False)
    row = only_row(lectr, feature)
    assert (row["provider"], row["request_model"], row["response_model"]) == ("azure", "prod-chat", "gpt-4o-2024-11-20")
    assert row["cost_picousd"] == cost(
        "azure", "gpt-4o", input=row["input_tokens"], cached=row["cache_read_input_tokens"], output=row["output_tokens"]
    )


def test_openais_own_client_with_the_provider_in_a_header(lectr: Lectr, standin: StandIn, feature: str) -> None:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Provider": "azure", "X-Lectr-Feature": feature}
    with OpenAI(base_url=f"{lectr.url}/v1", api_key="any", default_headers=headers, max_retries=0) as client:
        assert client.responses.create(model="gpt-4o-mini", input="Where?").model == "gpt-4o-mini-2024-07-18"
    assert standin.seen[-1].path == "/azure/openai/v1/responses"
    row = only_row(lectr, feature)
    assert (row["provider"], row["detected_by"]) == ("azure", "header")


def test_the_lectr_key_alone_uses_the_boxs_own_key(lectr: Lectr, standin: StandIn, feature: str) -> None:
    headers = {"X-Lectr-Feature": feature}
    with AzureOpenAI(
        base_url=f"{lectr.url}/v1", api_key=lectr.key, api_version=VERSION, default_headers=headers, max_retries=0
    ) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=QUESTION).choices
    assert standin.seen[-1].headers["api-key"] == BOX_KEY
    assert only_row(lectr, feature)["provider"] == "azure"


def test_azure_endpoint_is_a_404_that_names_the_right_base_url(lectr: Lectr) -> None:
    headers = {"X-Lectr-Key": lectr.key}
    with (
        AzureOpenAI(
            azure_endpoint=lectr.url, api_key="any", api_version=VERSION, default_headers=headers, max_retries=0
        ) as client,
        pytest.raises(openai.NotFoundError) as caught,
    ):
        client.chat.completions.create(model="prod-chat", messages=QUESTION)
    assert caught.value.code == "not_found"
    assert f"base_url to {lectr.url}/v1" in caught.value.message
