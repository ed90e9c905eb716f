"""Fuzzing of what reads bytes that strangers wrote: each target raises AssertionError where something does not hold.

`python -m tests.security.search TARGET SECONDS` searches for such bytes; test_fuzz.py tries some thousand of each and
keeps what was found.
"""

import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import multipart  # type: ignore[import-untyped]

from app.catalog.load import load_catalog
from app.domain import Reply
from app.edge.auth import read_headers
from app.edge.paths import read_path
from app.errors import RequestRejected
from app.ledger.replay import _read_entry, _read_started
from app.ledger.spool_format import END, START, frame, read_segment
from app.ledger.started import Started
from app.metering.recorded import MAX_BYTES, usage_from_json
from app.metering.settle import settle
from app.record import interrupted_entry
from app.upstream.formats import FORMAT_BY_ENDPOINT, add_stream_usage, read_request, reader_for
from app.upstream.formats.multipart import form_fields
from app.upstream.formats.request_detail import request_detail
from app.upstream.headers import answer_headers, request_headers
from app.upstream.sse import SseSplitter
from tests.fakes import inbound

Target = Callable[[bytes], None]
CATALOG = load_catalog(Path(__file__).parents[2] / "registry")

SSE_PIECES = (
    b"data: ", b"data:", b"data", b"event: ", b"event:", b"id: ", b": ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n",
    b"\r\r", b"\xef\xbb\xbf", b"[DONE]", b"\xff", b"\xe2\x80\xa8", b"\0", b" ", b"message_stop", b"error", b"x" * 300,
    b'{"model":"gpt-4o-mini","choices":[{"delta":{"content":"a"}}],"usage":null}',
    b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}', b'"usage":null', b'"usage" : null ,',
    b'{"type":"message_start","message":{"model":"claude-sonnet-4-5","usage":{"input_tokens":3}}}',
    b'{"type":"message_delta","usage":{"output_tokens":7}}', b'{"type":"message_stop"}',
    b'{"type":"response.completed","response":{"model":"gpt-4o","usage":{"input_tokens":4,"output_tokens":2}}}',
    b'{"error":{"code":"server_error"}}', b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"\\ud800"',
    b'"u\\u0073age"', b"-1", b"1e400", b"NaN", b"9" * 30, b"true", b'"model":', b'"usage":', b'"choices":[]',
    b'"usage":{"prompt_tokens":',
)  # fmt: skip
JSON_PIECES = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b'"model"', b'"stream"', b'"stream_options"',
    b'"gpt-4o"', b"true", b"false", b"null", b'{"include_usage":true}', b'{"include_usage":false}',
    b'{"include_usage":null}', b'"include_usage"', b'"mod\\u0065l"', b'"\\u0073tream"', b'"stream_\\u006fptions"',
    b'"messages"', b'"\\ud800"', b'"\\udc00\\ud800"', b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\0", b"1", b"-",
    b"1e999", b"NaN", b"0" * 20, b"9" * 40, b"[" * 127, b"]" * 127, b'{"model":"gpt-4o",', b'"stream":true,',
    b'"messages":[]}', b'"a":"' + b"b" * 9000 + b'"', b"/*", b"//", b"'", b'""', b"\\u0022", b'\\"', b"\\\\",
    b"\xe2\x80\xa8", b"\t", b"\r", b'"Model"', b'"model "',
)  # fmt: skip
FORM_PIECES = (
    b"--b", b"--", b"b", b"\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n\r\n", b"\n", b"\r",
    b'Content-Disposition: form-data; name="model"', b"Content-Disposition: form-data; name=model", b'; name="model"',
    b'; name="file"', b'; filename="a"', b"; filename*=utf-8''a", b"whisper-1",
    b'Content-Disposition: form-data; name="x"', b"content-disposition:", b"form-data", b";", b'"', b"\\",
    b"gpt-4o-transcribe", b"name=", b"Content-Type: text/plain", b" ", b"\t",
    b'Content-Disposition: form-data; name="stream"', b"true", b"\xff", b"\0", b"x" * 9000, b"=",
    b"name*=utf-8''model", b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1',
)  # fmt: skip
HEADER_PIECES = (
    b"x-lectr-key", b"authorization", b"x-api-key", b"api-key", b"x-lectr-feature", b"x-lectr-task", b"connection",
    b"transfer-encoding", b"content-length", b"cookie", b"forwarded", b"x-forwarded-for", b"x_forwarded_for",
    b"x_lectr_key", b"host", b"te", b"upgrade", b"via", b"keep-alive", b"proxy-authorization", b"accept-encoding",
    b"expect", b"openai-beta", b"anthropic-version", b"ocp-apim-subscription-key", b"Bearer ", b"bearer", b"lc_key_",
    b"sk-ant-", b"gsk_", b"close, x-api-key", b", ", b" ", b"\t", b"\xff", b"\x0b", b"_", b"-", b"set-cookie",
    b"x-lectr-provider", b"\x00", b"chunked", b"x-request-id",
)  # fmt: skip
PATH_PIECES = (
    b"/v1/", b"/v1", b"/", b"..", b".", b"%2e", b"%2E", b"%2f", b"%5c", b"\\", b"//", b"v1/", b"deployments/",
    b"chat/completions", b"%25", b"%32%65", b"key=", b"&", b"?", b";", b"=", b"kEy=a", b"%6bey=b", b"#", b"%00",
    b"\xff", b" ", b"+", b"models/", b"x", b"ke%79=c", b"%", b"api-version=",
)  # fmt: skip


def expand(data: bytes, pieces: tuple[bytes, ...]) -> bytes:
    """Bytes as words: each is a piece of the grammar, or after 0xFF itself."""
    found, literal = [], False
    for byte in data:
        if literal or byte >= len(pieces):
            literal = not literal and byte == 0xFF
            found.append(b"" if literal else bytes((byte,)))
        else:
            found.append(pieces[byte])
    return b"".join(found)


def cut(whole: bytes, seed: int) -> Iterator[bytes]:
    chance, at = random.Random(seed), 0
    while at < len(whole):
        step = chance.choice((1, 2, 3, 7, 64, 1000))
        yield whole[at : at + step]
        at += step


def expected_events(whole: bytes) -> list[tuple[bytes, bytes]]:
    """Payload and name of each event, by the letter of WHATWG HTML 9.2.6; the last one also without its blank line."""
    text = whole.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found: list[tuple[bytes, bytes]] = []
    data: list[bytes] = []
    name = b""
    for line in [*text.split(b"\n"), b""]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line == b"":
            if data:
                found.append((b"\n".join(data), name))
            data, name = [], b""
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.strip()
    return found


def sse(data: bytes) -> None:
    """Any cut of any stream gives the same events, and with `keep_raw` every byte again."""
    whole = expand(data[1:], SSE_PIECES)
    results = []
    for seed in (data[0] if data else 0, 1000):
        for keep in (True, False):
            splitter, events = SseSplitter(keep_raw=keep), []
            for piece in cut(whole, seed) if seed != 1000 else (whole,):
                events += splitter.feed(piece)
            events += splitter.finish()
            if keep:
                assert b"".join(event.raw for event in events) == whole
            results.append([(event.data, event.name) for event in events if event.data is not None])
    assert all(result == results[0] for result in results), results
    assert results[0] == expected_events(whole), (results[0], expected_events(whole))


def _read(format: str, whole: bytes, seed: int | None, *, added: bool) -> tuple[Reply, bytes]:
    reader = reader_for(format, content_type="text/event-stream", usage_added=added)
    assert reader is not None
    out = b""
    for piece in (whole,) if seed is None else cut(whole, seed):
        out += reader.feed(piece)
    return reader.reply, out + reader.finish()


READ_FORMATS = ("openai-chat", "openai-responses", "anthropic-messages", "openai-embeddings", "openai-audio")


def readers(data: bytes) -> None:
    """No answer breaks a reader, is changed by it or read differently in other pieces; no row comes out of bounds."""
    if len(data) < 2:
        return
    whole = expand(data[2:], SSE_PIECES)
    format = READ_FORMATS[data[0] % len(READ_FORMATS)]
    added = format == "openai-chat" and data[1] & 1 == 1
    reply, out = _read(format, whole, None, added=added)
    again, out_again = _read(format, whole, data[1], added=added)
    assert (reply, out) == (again, out_again)
    if not added:
        assert out == whole
    elif not reply.reader_failed:
        assert len(out) <= len(whole)
        kept, all_events = expected_events(out), expected_events(whole)
        assert len(kept) <= len(all_events)
        for payload, name in all_events:
            assert (payload, name) in kept or b"us" in payload, payload
    endpoint = next(name for name, found in FORMAT_BY_ENDPOINT.items() if found == format)
    for provider in ("openai", "anthropic", "groq", "gemini"):
        settled = settle(
            CATALOG, inbound(endpoint=endpoint), provider, reply, whole=True, prompt_bytes=9, input_characters=0
        )
        assert settled.cost.picousd is None or 0 <= settled.cost.picousd < 2**63
        assert (settled.cost.picousd is None) == (settled.cost.reason is not None)
        if settled.usage_json is not None:
            assert len(settled.usage_json) <= MAX_BYTES
            json.loads(settled.usage_json)
            usage_from_json(provider, endpoint, settled.usage_json)
        if settled.usage is not None:
            assert all(value >= 0 for value in msgspec.structs.asdict(settled.usage).values() if type(value) is int)


_STARTED = msgspec.msgpack.encode(
    Started(
        id="01930000-0000-7000-8000-000000000000", started_at_us=1_790_000_000_000_000, key="plain", provider="openai",
        detected_by="exact", flags=(), request_model="gpt-4o", endpoint="chat.completions", streamed=True, feature=None,
        task=None, prompt_bytes=12, used=(),
    )
)  # fmt: skip


def spool(data: bytes) -> None:
    """A damaged segment gives whole records and counts the rest; a record whose content is wrong is told apart."""
    records: list[tuple[int, bytes]] = []
    place = 0
    while place + 2 < len(data) and len(records) < 12:
        kind, length = data[place], data[place + 1]
        body = data[place + 2 : place + 2 + length]
        if kind & 4:
            changed = bytearray(_STARTED)
            for at, byte in zip(body[::2], body[1::2], strict=False):
                changed[at % len(changed)] = byte
            body = bytes(changed)
        records.append((START if kind & 1 else END, body))
        place += 2 + length
    whole = b"".join(frame(kind, body) for kind, body in records)
    found = read_segment(whole + bytes(64))
    assert [(record.kind, record.body) for record in found.records] == records
    assert (found.damaged, found.torn) == (0, False)
    broken = bytearray(whole + data)
    for byte in data[:8]:
        if broken:
            broken[byte * 7 % len(broken)] ^= byte | 1
    found = read_segment(bytes(broken))
    assert len(found.records) <= len(records) + len(data)
    read_segment(bytes(broken[: len(broken) // 2]))
    for kind, body in records:
        try:
            if kind == START:
                started = _read_started(body)
                if started.prompt_bytes >= 0 and 0 < started.started_at_us < 2**52:
                    entry = interrupted_entry(started, CATALOG)
                    assert entry.cost_picousd is None or 0 <= entry.cost_picousd < 2**63
            else:
                _read_entry(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass


NEVER_UP = {
    b"connection", b"keep-alive", b"proxy-authorization", b"te", b"upgrade", b"x-api-key", b"api-key", b"cookie",
    b"forwarded", b"via", b"expect", b"x-real-ip", b"proxy-connection", b"trailer",
}  # fmt: skip


def headers(data: bytes) -> None:
    """Whatever a caller's fields say: what may not go on does not, and framing is Lectr's own."""
    fields = [
        (name.strip(b" \t\0:").lower() or b"x", value)
        for line in expand(data, HEADER_PIECES).split(b"\xff")
        for name, _, value in (line.partition(b" "),)
    ]
    caller = read_headers(fields)
    assert all(not key.startswith("lc_key_") for key in caller.provider_keys)
    for provider in CATALOG.providers.values():
        sent = request_headers(fields, provider, "chat.completions", "sk-box", b"api.test", 3)
        names = [name for name, _ in sent]
        folded = [name.replace(b"_", b"-") for name in names]
        assert not NEVER_UP - {provider.auth.encode()} & set(folded), folded
        assert not [name for name in folded if name.startswith((b"x-lectr-", b"x-forwarded-"))]
        assert [value for name, value in sent if name == b"content-length"] == [b"3"]
        assert b"transfer-encoding" not in folded
        assert sum(name in (b"authorization", b"x-api-key", b"api-key") for name in folded) == 1
        assert folded.count(b"host") == folded.count(b"accept-encoding") == 1
        listed = {part.strip().lower() for name, value in fields if name == b"connection" for part in value.split(b",")}
        own = {b"host", b"accept-encoding", b"content-length", b"authorization", b"x-api-key", b"api-key"}
        own |= {name.lower().encode() for name in provider.default_headers}
        assert not (listed & set(names)) - own
    back = answer_headers(fields, keep_length=False)
    assert not [
        name for name, value in back if name in (b"set-cookie", b"content-length", b"transfer-encoding", b"connection")
    ]
    assert all(byte >= 32 or byte == 9 for _, value in back for byte in value)


def paths(data: bytes) -> None:
    """A path that is let through stays below `/v1/` for every reader; no query carries a key."""
    raw, _, query = expand(data, PATH_PIECES).partition(b"?")
    raw = b"/v1/" + raw
    try:
        place = read_path("POST", raw, query)
    except RequestRejected:
        return
    assert place.path.startswith("/v1/")
    lowered = place.path.lower()
    assert not [part for part in ("..", "//", "%2e", "%2f", "%5c", "\\", " ", "\r", "\n", "\0") if part in lowered]
    assert (place.path + place.query).isascii()
    assert "#" not in place.query
    assert not [part for part in place.query.lower().split("&") if part.startswith("key=")]


def _pairs_of(body: bytes) -> list[tuple[str, Any]] | None:
    class Pairs(list[Any]):
        pass

    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        return None
    return list(document) if isinstance(document, Pairs) else None


def _clean(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value) and value:
        return {name: _clean(item) for name, item in value}
    return value


def decode(data: bytes) -> None:
    """What is accepted is JSON, has each deciding key once, and means to a strict reader what Lectr read."""
    body = expand(data, JSON_PIECES)
    request_detail("openai-chat", "chat.completions", body)
    try:
        facts = read_request("openai-chat", "chat.completions", body)
    except RequestRejected:
        return
    pairs = _pairs_of(body)
    assert pairs is not None, body[:200]
    for key in ("model", "stream", "stream_options"):
        assert sum(name == key for name, _ in pairs) <= 1, key
    fields = {name: _clean(value) for name, value in pairs}
    model = fields.get("model")
    assert isinstance(model, str)
    assert model.encode("utf-8", "replace").decode() == facts.model
    assert facts.stream is bool(fields.get("stream"))
    if not facts.stream:
        return
    changed = add_stream_usage(body)
    if changed is body:
        return
    after_pairs = _pairs_of(changed)
    assert after_pairs is not None, changed[:200]
    after = {name: _clean(value) for name, value in after_pairs}
    options = after.pop("stream_options")
    assert options["include_usage"] is True
    before = fields.pop("stream_options", None) or {}
    before = {} if before == [] else before
    assert {**before, "include_usage": True} == options
    assert repr(after) == repr(fields)


def forms(data: bytes) -> None:
    """A form's model is what a strict reader of forms finds, or the form is refused."""
    body = expand(data, FORM_PIECES)
    try:
        read = form_fields(body, "multipart/form-data; boundary=b", ("model", "stream"))
    except RequestRejected:
        return
    if not read or "model" not in read:
        return
    try:
        parts = list(
            multipart.MultipartParser(io.BytesIO(body), b"b", strict=True, memfile_limit=2**20, spool_limit=2**20)
        )
    except multipart.MultipartError:
        return
    names = [part.raw[:4096].decode("utf-8", "replace") for part in parts if part.name == "model" and not part.filename]
    assert read["model"] == names, (body, names, read)


TARGETS: dict[str, Target] = {
    "sse": sse, "readers": readers, "spool": spool, "headers": headers, "paths": paths, "decode": decode,
    "forms": forms,
}  # fmt: skip
