"""`GET /api/self-check`: every accepted request has its row, or is counted as not having one."""

import httpx

from tests.api.serving import Lectr, wait_until

QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


def test_the_counters_follow_the_requests(changing: Lectr) -> None:
    before = changing.json("/api/self-check")
    with changing.program() as program:
        for _ in range(3):
            assert program.post("/v1/chat/completions", json=QUESTION).status_code == 200
        assert program.post("/v1/chat/completions", content=b"{").status_code == 400
    assert httpx.post(f"{changing.url}/v1/chat/completions", json=QUESTION).status_code == 401
    wait_until(lambda: changing.json("/api/self-check")["rows_waiting"] == 0)
    after = changing.json("/api/self-check")
    assert after["rows_accepted"] - before["rows_accepted"] == 4
    assert after["rows_written"] - before["rows_written"] == 4
    assert after["requests_without_valid_key"] - before["requests_without_valid_key"] == 1
    assert (after["status"], after["rows_lost"], after["rows_parked"], after["unexpected_errors"]) == ("ok", 0, 0, 0)
    assert after["rows_accepted"] == sum(after[f"rows_{name}"] for name in ("written", "waiting", "parked", "lost"))
