"""At each deploy the old and the new version run side by side on one volume for a minute."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.deploy.running import Lectr, running_lectr, running_provider, stop

BODY = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]})


def ask(lectr: Lectr, key: str, times: int) -> list[int]:
    """Statuses of `times` requests on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", lectr.port, timeout=30)
    headers = {"X-Lectr-Key": key, "Authorization": "Bearer sk-test", "Content-Type": "application/json"}
    statuses = []
    for _ in range(times):
        connection.request("POST", "/v1/chat/completions", BODY, headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def wait_for_rows(lectr: Lectr, expected: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and lectr.rows() != expected:
        time.sleep(0.1)
    return lectr.rows()


def test_two_versions_share_one_volume(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_provider() as provider, running_lectr(data, provider) as old:
        old.create_key("shared")
        assert ask(old, old.key, 5) == [200] * 5
        with running_lectr(data, provider) as new:
            with ThreadPoolExecutor(4) as pool:
                both = [pool.submit(ask, lectr, old.key, 40) for lectr in (old, new, old, new)]
                statuses = [status for each in both for status in each.result()]
            assert statuses == [200] * 160
            assert wait_for_rows(old, 165) == 165
            assert wait_for_rows(new, 165) == 165

            later = new.create_key("made during the deploy")
            old.wait_until_known(later)
            assert ask(old, later, 1) == [200]

            assert stop(old.process) == 0
            assert ask(new, old.key, 10) == [200] * 10
            assert wait_for_rows(new, 176) == 176


def test_a_stream_that_runs_at_the_switch_is_finished(tmp_path: Path) -> None:
    with running_provider() as provider, running_lectr(tmp_path / "data", provider) as old:
        key = old.create_key("streamer")
        headers = {"X-Lectr-Key": key, "Authorization": "Bearer sk-test", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", old.port, timeout=30)) as connection:
            connection.request(
                "POST", "/v1/chat/completions", json.dumps({**json.loads(BODY), "stream": True}), headers
            )
            with connection.getresponse() as answer:
                first = answer.readline()
                old.process.terminate()
                rest = answer.read()
        assert first.startswith(b"data: ")
        assert rest.endswith(b"data: [DONE]\n\n")
        assert stop(old.process) == 0
