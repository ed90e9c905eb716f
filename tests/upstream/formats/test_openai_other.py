"""Embeddings, images and audio: one usage object, perhaps behind megabytes."""

import json

import pytest

from app.upstream.formats import reader_for
from app.upstream.formats.reader import MAX_DOCUMENT_BYTES
from tests.upstream.formats.streams import DONE, event, fed, learned


def test_embeddings_name_model_and_usage() -> None:
    body = {
        "object": "list",
        "data": [{"embedding": [0.1]}],
        "model": "made-up-embed-v2",
        "usage": {"prompt_tokens": 5},
    }
    reply = learned("openai-embeddings", json.dumps(body).encode())
    assert (reply.response_model, reply.usage) == ("made-up-embed-v2", {"prompt_tokens": 5})


@pytest.mark.parametrize("size", [1 << 14, 1 << 20, 1 << 30])
def test_usage_behind_a_document_too_long_to_be_kept_is_found(size: int) -> None:
    body = b'{"data":[{"embedding":[' + b",".join([b"0.25"] * (MAX_DOCUMENT_BYTES // 4)) + b"]}],"
    body += b'"model":"made-up-embed","usage":{"prompt_tokens":900,"total_tokens":900}}\n'
    reply, client = fed("openai-embeddings", [body[at : at + size] for at in range(0, len(body), size)])
    assert client == body
    assert (reply.response_model, reply.usage) == ("made-up-embed", {"prompt_tokens": 900, "total_tokens": 900})
    assert reply.ended


def test_a_document_too_long_without_usage_makes_the_reader_fail() -> None:
    reply = learned("openai-images", b'{"data":"' + b"a" * MAX_DOCUMENT_BYTES + b'"}')
    assert reply.reader_failed


def test_a_transcription_stream_ends_with_its_usage() -> None:
    usage = {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 3}
    body = event({"type": "transcript.text.delta", "delta": "so"})
    body += event({"type": "transcript.text.done", "text": "so", "usage": usage}) + DONE
    reply = learned("openai-audio", body)
    assert reply.usage == usage
    assert reply.output_characters == 2
    assert reply.ended


def test_a_verbose_transcription_tells_its_duration() -> None:
    assert learned("openai-audio", b'{"text":"a","duration":"2.5"}').usage == {"type": "duration", "seconds": 2.5}
    both = b'{"text":"a","duration":9.0,"usage":{"type":"duration","seconds":3}}'
    assert learned("openai-audio", both).usage == {"type": "duration", "seconds": 3}


@pytest.mark.parametrize("kind", ["audio/mpeg", "image/png", "application/octet-stream", "text/html; charset=x"])
def test_what_holds_no_usage_gets_no_reader(kind: str) -> None:
    assert reader_for("openai-audio", content_type=kind) is None


def test_a_format_lectr_does_not_read_gets_no_reader() -> None:
    assert reader_for(None, content_type="application/json") is None
    assert reader_for("", content_type="application/json") is None
