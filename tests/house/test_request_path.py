"""docs/request-path.md tells the truth: its functions exist, and its request passes them in the order it says."""

import ast
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn
from tests.api.serving import serving_lectr, settings_for
from tests.house.files import ROOT

TEXT = (ROOT / "docs" / "request-path.md").read_text()
NAMED = re.compile(r"`(app/[\w/]+\.py)`\s+`([A-Za-z_][\w.]*)`")
BESIDE = "## 7."
"""From here on it happens in other threads, in no order that can be told."""
Place = tuple[str, str]


def named(text: str) -> list[Place]:
    """File and function, in the order of the text."""
    return [(file, name) for file, name in NAMED.findall(text)]


def functions(file: str) -> Iterator[str]:
    """Qualified names of all functions and methods of a file."""
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}"


class FirstCalls:
    """The functions of `app`, in the order in which they were first called since the last `clear`."""

    def __init__(self) -> None:
        self.places: dict[Place, None] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{ROOT}/app/"):
            file = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
            self.places.setdefault((file, frame.f_code.co_qualname))


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> list[Place]:
    """What the request of the document calls."""
    body = re.search(r"-d '(\{.*\})'", TEXT)
    assert body is not None
    calls = FirstCalls()
    # With a pause, the header of the answer comes before its first event, as a model's does.
    with serving(StandIn(pace_s=0.01)) as upstream:
        # The stand-in's thread runs already; those that start from here on are Lectr's.
        threading.setprofile(calls)
        try:
            with serving_lectr(settings_for(tmp_path_factory.mktemp("path") / "data", upstream)) as lectr:
                with lectr.program() as program:
                    calls.places.clear()
                    answer = program.post("/v1/chat/completions", json=json.loads(body[1]))
                assert answer.text.endswith("data: [DONE]\n\n")
                assert lectr.row(answer)["cost_usd"]
        finally:
            threading.setprofile(None)
    return list(calls.places)


@pytest.mark.parametrize("place", sorted(set(named(TEXT))), ids=lambda place: ":".join(place))
def test_a_function_that_is_named_is_there(place: Place) -> None:
    assert place[1] in set(functions(place[0]))


def test_the_request_calls_every_function_that_is_named(called: list[Place]) -> None:
    assert [place for place in named(TEXT) if place not in called] == []


def test_it_calls_them_in_this_order(called: list[Place]) -> None:
    told = named(TEXT[: TEXT.index(BESIDE)])
    assert len(told) > 30
    assert told == sorted(told, key=called.index)


def test_the_story_passes_every_stage() -> None:
    stages = ("edge", "detection", "upstream", "metering", "ledger")
    told = [Path(file).parts[1] for file, _ in named(TEXT)]
    assert [stage for stage in stages if stage not in told] == []


def test_a_function_that_is_gone_would_be_seen() -> None:
    assert named("the file `app/pipeline.py` `Pipeline.fly` does it") == [("app/pipeline.py", "Pipeline.fly")]
    assert "Pipeline.fly" not in set(functions("app/pipeline.py"))
