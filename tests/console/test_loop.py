"""No page keeps the event loop for itself: while one is made, programs are served."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.stage import Stage, Visit, running, serving

PAGES = (
    *("/", "/?range=90d", "/requests?range=all", "/requests?range=all&sort=cost&provider=openai", "/requests?q=gpt"),
    *("/models", "/models?q=gpt&sort=spend", "/models/gpt-4o-mini", "/recommendations", "/features?range=all"),
    *("/settings", "/detect?model=gpt-4o"),
)
NAMES = "\n".join(f"gpt-4o-mini-{number}" for number in range(250))
AT_ONCE_S = 0.005
ALLOWED = 3
"""A step of the loop takes at most 5 ms of its thread's time; a machine that is shared gets three times that."""


@pytest.fixture(scope="module")
def own_loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("loop")
    with running(folder) as stage, serving(folder, loop="asyncio") as url:
        yield Stage(url, stage.entries, stage.clients).visit()


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The CPU seconds of the longest step of any event loop outside of this thread."""
    found = [0.0]
    run = asyncio.events.Handle._run

    def timed(self: Any) -> None:
        began = time.thread_time()
        run(self)
        if threading.current_thread() is not threading.main_thread():
            found[0] = max(found[0], time.thread_time() - began)

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_made_apart_from_the_loop(own_loop: Visit, longest: list[float], path: str) -> None:
    own_loop.get(path)
    steps = []
    for _ in range(3):
        longest[0] = 0.0
        assert own_loop.get(path).status_code == 200
        steps.append(longest[0])
    # The shortest of three: the collector of garbage may come in any one.
    assert 0 < min(steps) < ALLOWED * AT_ONCE_S


def test_hundreds_of_names_are_looked_up_apart_from_the_loop(own_loop: Visit, longest: list[float]) -> None:
    for fields in ({"model": NAMES}, {"model": NAMES, "as": "csv"}):
        longest[0] = 0.0
        assert own_loop.submit("/detect", fields, page="/detect").status_code == 200
        assert 0 < longest[0] < ALLOWED * AT_ONCE_S


def test_a_file_of_all_requests_is_written_apart_from_the_loop(own_loop: Visit, longest: list[float]) -> None:
    for kind in ("csv", "ndjson", "json"):
        longest[0] = 0.0
        assert len(own_loop.get(f"/requests.{kind}?range=all").content) > 100_000
        assert 0 < longest[0] < ALLOWED * AT_ONCE_S


def test_a_step_that_is_long_is_seen(own_loop: Visit, longest: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: object) -> str:
        ends = time.thread_time() + 2 * ALLOWED * AT_ONCE_S
        while time.thread_time() < ends:
            pass
        return "slow"

    monkeypatch.setattr("app.console.render.chosen_theme", slow)
    own_loop.get("/detect")
    assert longest[0] > ALLOWED * AT_ONCE_S
