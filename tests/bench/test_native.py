"""The programs in C that measure slow streams: what they count is what was sent."""

import os
import signal
from pathlib import Path

import pytest

from tests.bench.measure import Target
from tests.bench.providers import end_streams, set_gap, slow_provider
from tests.bench.streams import streaming
from tests.conftest import find_tool
from tests.deploy.running import free_port

pytestmark = pytest.mark.skipif(find_tool("cc") is None or find_tool("taskset") is None, reason="needs cc and taskset")


def test_every_stream_opens_carries_events_and_ends_whole(tmp_path: Path) -> None:
    port = free_port()
    with slow_provider(tmp_path, port) as pid:
        set_gap(port, 10)
        with streaming(Target("direct", port, pid), "no-key", 50, 50, tmp_path) as client:
            assert client.wait_for("opened", 50, 20).opened == 50
            before = client.ask("forget")
            while (seen := client.ask("count")).events < before.events + 500:
                pass
            assert seen.p50_ms > 0
            end_streams(port)
            ended = client.wait_for("finished", 50, 20)
    assert (ended.finished, ended.errors) == (50, 0)


def test_a_stream_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    with slow_provider(tmp_path, port) as pid:
        set_gap(port, 10)
        with streaming(Target("direct", port, pid), "no-key", 5, 10, tmp_path) as client:
            assert client.wait_for("opened", 5, 20).opened == 5
            os.kill(pid, signal.SIGKILL)
            ended = client.wait_for("finished", 5, 20)
    assert (ended.finished, ended.errors) == (5, 5)
