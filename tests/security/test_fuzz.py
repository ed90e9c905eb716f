"""What strangers wrote is read the same in any cut, refused or told apart: some inputs of each fuzzing target.

`python -m tests.security.search TARGET SECONDS` goes on searching; what it found is kept here.
"""

import random
from typing import Any

import pytest

from app.ledger.replay import Replay
from app.ledger.spool_files import LIVE, SegmentFile
from app.ledger.spool_format import END, START, frame
from app.upstream.formats import reader_for
from app.upstream.formats.multipart import form_fields
from tests.security.corpus import SEED
from tests.security.fuzz import _STARTED, TARGETS, sse

INPUTS = 3000
KEPT = {
    "a byte order mark cut in two hid the first event": ("readers", "14010d00190b"),
    "the last line of a cut event was said twice": ("readers", "0ad90a0a0a0a0b001709ffffff291515151515151515151500"),
    "a form's part with two names": ("forms", "04090c0605"),
    "a part whose header has no end": ("forms", "040a0e0622310431"),
    "a file's name of a kind that some pass over": ("forms", "22040a0e0605"),
    "a file's name that nobody can read": ("forms", "040a06040a0e0a06060000"),
    "a name with a sign that no bare name has": ("forms", "040a3c06040a0605"),
    "a name with something behind it": ("forms", "0409010604112205"),
    "text of a record that is no UTF-8": ("spool", "a509201a08220718c9fb"),
    "a record of the year 394773": (
        "spool",
        "0620391892f79a33156da323ac134f3b05961e018d12a720301913a4aa211a0d080c3d1e283514111157173039ac",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_among_some_thousand_inputs(name: str) -> None:
    chance = random.Random(SEED)
    for _ in range(INPUTS):
        length = chance.randrange(1, 60)
        TARGETS[name](bytes(chance.choice((chance.randrange(60), chance.randrange(256))) for _ in range(length)))


@pytest.mark.parametrize("what", KEPT)
def test_what_was_found_stays_mended(what: str) -> None:
    name, found = KEPT[what]
    TARGETS[name](bytes.fromhex(found))


def test_a_target_can_fail() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.security.fuzz.expected_events", lambda _whole: [(b"other", b"")])
        with pytest.raises(AssertionError):
            sse(b"\0\0x")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n", b"  ", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("added", [True, False])
def test_what_stands_before_the_first_event_hides_it_in_no_cut(start: bytes, added: bool) -> None:
    """Found by the target `readers`: a byte order mark in two pieces cost the first event its meaning."""
    whole = start + b'data: {"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":3}}\n\ndata: [DONE]\n\n'
    for at in range(len(start) + 2):
        reader = reader_for("openai-chat", content_type="text/event-stream", usage_added=added)
        assert reader is not None
        out = reader.feed(whole[:at]) + reader.feed(whole[at:]) + reader.finish()
        assert (reader.reply.response_model, reader.reply.usage) == ("gpt-4o", {"prompt_tokens": 3})
        assert out == (start + b"data: [DONE]\n\n" if added else whole)


def test_a_document_behind_a_byte_order_mark_in_pieces_is_read() -> None:
    reader = reader_for("openai-chat", content_type="application/json")
    assert reader is not None
    for piece in (b"\xef\xbb", b'\xbf{"model":"gpt-4o","usage":{"prompt_tokens":3}}'):
        assert reader.feed(piece) == piece
    reader.finish()
    assert reader.reply.usage == {"prompt_tokens": 3}


def test_a_form_that_two_readers_read_differently_is_refused() -> None:
    def part(fields: bytes, value: bytes) -> bytes:
        return b"--b\r\nContent-Disposition: form-data; " + fields + b"\r\n\r\n" + value + b"\r\n"

    def read(body: bytes) -> Any:
        return form_fields(body + b"--b--\r\n", "multipart/form-data; boundary=b", ("model",))

    assert read(part(b'name="model"', b"whisper-1")) == {"model": ["whisper-1"]}
    # Two names in one part; a model behind more parts than are looked at.
    assert read(part(b'name="model"; name="x"', b"a")) is None
    assert read(part(b'name="x"', b"a") * 300 + part(b'name="model"', b"b")) is None
    # A line that only begins like the delimiter ends no part.
    hidden = part(b'name="file"', b'a\r\n--bX\r\nContent-Disposition: form-data; name="model"\r\n\r\ncheap')
    assert read(hidden + part(b'name="model"', b"dear")) == {"model": ["dear"]}
    # A part without the blank line that ends its header: others find it in the next one.
    assert read(b'--b\r\nContent-Disposition: form-data; name="x"\r\n' + part(b'name="model"', b"a")) is None
    # Something behind the name that some pass over; behind a file's name it is a file's all the same.
    assert read(part(b'name="model"--', b"a")) is None
    assert read(part(b'name="file"; filename="a"b.mp3"', b"x") + part(b'name="model"', b"b")) == {"model": ["b"]}
    assert read(part(b"name=\"model\"; filename*=utf-8''a", b"x")) is None
    assert read(part(b"name=\"file\"; filename*=utf-8''a", b"x") + part(b'name="model"', b"b")) == {"model": ["b"]}
    # A name inside of another parameter's quotes is none.
    assert read(part(b'x="; name=model"; name="y"', b"a")) == {}


@pytest.mark.anyio
async def test_a_record_that_means_nothing_keeps_no_other_out(tmp_path: Any) -> None:
    """Found by the target `spool`: its checksum is right, its text or its time is not."""
    year = _STARTED.replace((1_790_000_000_000_000).to_bytes(8, "big"), (2**60).to_bytes(8, "big"))
    assert year != _STARTED
    bodies = [year, _STARTED.replace(b"plain", b"pla\xffn"), _STARTED.replace(b"01930000", b"01930001")]
    segment = SegmentFile.create(tmp_path, "owner-1-2-000001")
    segment.write(b"".join(frame(START, body) for body in bodies) + frame(END, b"\xff"))
    segment.close()
    written: list[Any] = []

    async def write(entries: Any) -> None:
        written.extend(entries)

    def interrupted(started: Any) -> Any:
        if started.started_at_us > 2**59:
            raise ValueError("year 36558 is out of range")
        return started

    replay = Replay(tmp_path, write, interrupted)
    await replay.adopt()
    assert [started.id[:8] for started in written] == ["01930001"]
    assert replay.counters.unread == 3
    assert not list(tmp_path.glob(f"*{LIVE}"))
