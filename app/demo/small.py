"""The stand-in's smaller endpoints: embeddings, models, moderations, images and audio."""

import base64
import hashlib
import random
import re
import time
from array import array
from collections.abc import Sequence
from typing import Any

from app.demo.invented import JsonObject, prompt_of, served_as, tokens_in

_DIMENSIONS = 1536
_CREATED = 1_790_000_000
_ONE_PIXEL_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_SILENT_FRAME = b"\xff\xfb\x90\x00" + b"\x00" * 413
_TRANSCRIPT = "The order left the warehouse on Tuesday."


def embeddings(provider: str, body: JsonObject) -> dict[str, Any]:
    """The answer of `/embeddings`: a unit vector for each input, the same for the same input."""
    given = body["input"]
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs: Sequence[Any] = [given] if single else given
    dimensions = body.get("dimensions") or _DIMENSIONS
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(str(item), dimensions, as_base64=as_base64)}
        for index, item in enumerate(inputs)
    ]
    tokens = sum(tokens_in(item) if isinstance(item, str) else len(item) for item in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": served_as(provider, body["model"]), "usage": usage}


def _vector(text: str, dimensions: int, *, as_base64: bool) -> list[float] | str:
    seed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    rng = random.Random(seed)  # noqa: S311 - a sample vector, no secret
    values = [rng.uniform(-1, 1) for _ in range(dimensions)]
    length = sum(value * value for value in values) ** 0.5
    unit = [value / length for value in values]
    return base64.b64encode(array("f", unit).tobytes()).decode() if as_base64 else unit


def model_list(provider: str, ids: Sequence[str]) -> dict[str, Any]:
    """The answer of `GET /models` in the provider's shape."""
    data = [model_object(provider, name) for name in ids]
    if provider == "anthropic":
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return {"data": data, "has_more": False, "first_id": first, "last_id": last}
    return {"object": "list", "data": data}


def model_object(provider: str, id: str) -> dict[str, Any]:
    """The answer of `GET /models/{id}`."""
    if provider == "anthropic":
        return {"type": "model", "id": id, "display_name": id, "created_at": "2026-09-21T00:00:00Z"}
    shown = f"models/{id}" if provider == "gemini" else id
    return {"id": shown, "object": "model", "created": _CREATED, "owned_by": provider}


def moderations(body: JsonObject) -> dict[str, Any]:
    """The answer of `/moderations`: nothing is ever flagged."""
    given = body["input"]
    inputs = given if isinstance(given, list) else [given]
    names = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")
    result = {
        "flagged": False,
        "categories": dict.fromkeys(names, False),
        "category_scores": dict.fromkeys(names, 0.0001),
        "category_applied_input_types": {name: ["text"] for name in names},
    }
    return {
        "id": "modr-demo",
        "model": body.get("model") or "omni-moderation-latest",
        "results": [result] * len(inputs),
    }


def images(body: JsonObject) -> dict[str, Any]:
    """The answer of `/images/generations`: one grey pixel for each image wanted."""
    count = body.get("n") or 1
    text = tokens_in(prompt_of(body))
    output = 1056 * count
    usage = {
        "input_tokens": text,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
        "total_tokens": text + output,
    }
    return {"created": int(time.time()), "data": [{"b64_json": _ONE_PIXEL_PNG}] * count, "usage": usage}


def form_field(body: bytes, name: str) -> str | None:
    """One text field of a multipart form."""
    found = re.search(rb'name="' + name.encode() + rb'"\r\n\r\n([^\r\n]*)', body)
    return None if found is None else found.group(1).decode("utf-8", "replace")


def transcription(model: str, body: bytes) -> dict[str, Any]:
    """The answer of `/audio/transcriptions` and `/audio/translations`: by the second or by the token."""
    if model.startswith("whisper"):
        return {"text": _TRANSCRIPT, "usage": {"type": "duration", "seconds": 1 + len(body) // 32_000}}
    audio = 10 + len(body) // 3_200
    usage = {
        "type": "tokens",
        "input_tokens": audio,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
        "output_tokens": 9,
        "total_tokens": audio + 9,
    }
    return {"text": _TRANSCRIPT, "usage": usage}


def speech(body: JsonObject) -> bytes:
    """The answer of `/audio/speech`: silence, longer for a longer text."""
    return _SILENT_FRAME * (1 + len(str(body["input"])) // 4)
