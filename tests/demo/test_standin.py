"""What the stand-in refuses, in words that a person who plays with the demo understands."""

import httpx
import pytest


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/anthropic/v1/messages"])
def test_another_method_is_told_which_is_right(address: str, method: str, path: str) -> None:
    answer = httpx.request(
        method, address + path, headers={"authorization": "Bearer any", "anthropic-version": "2023-06-01"}
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.json()["error"]["message"] == f"{method} is not allowed here; send POST."


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff"], ids=str)
def test_a_body_that_is_no_json_object_is_named_without_words_of_python(address: str, body: bytes) -> None:
    answer = httpx.post(f"{address}/v1/chat/completions", content=body, headers={"authorization": "Bearer any"})
    said = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert said.startswith("The body could not be read as JSON: ")
    assert "Error(" not in said
