"""`lectr demo`: sample traffic in a folder of its own, marked wherever it shows, and any provider key works."""

import re
import subprocess

import httpx

from tests.commands.cli import Box
from tests.commands.test_users import redeem

KEYS_OF_ANY_SHAPE = (
    ("sk-anything", "gpt-4o-mini"),
    ("sk-ant-anything", "claude-haiku-5-5"),
    ("gsk_anything", "llama-3.1-8b-instant"),
    ("AIza-anything", "gemini-2.5-flash"),
)


def test_the_demo_is_filled_marked_and_takes_any_key(box: Box) -> None:
    with box.serve("demo", "--rows", "300", OPENAI_API_KEY="sk-real-and-never-used") as demo:
        key = re.search(r"lc_key_\w{32}", demo.words)
        assert key is not None
        assert demo.admin("/api/usage")["total"]["requests"] >= 300
        for path in ("/sign-in", "/health", "/api/usage", "/v1/models", "/nothing"):
            assert httpx.get(demo.url + path).headers["x-lectr-demo"] == "1"
        page = httpx.get(f"{demo.url}/sign-in", headers={"accept": "text/html"})
        assert "demo" in page.text.lower()
        for provider_key, model in KEYS_OF_ANY_SHAPE:
            answer = demo.ask(key[0], model, authorization=f"Bearer {provider_key}")
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-lectr-demo"] == "1"
        curl = demo.words[demo.words.index("curl ") :].partition("\n\n")[0]
        done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=20)
        assert '"choices"' in done.stdout
        link = re.search(r"http\S+/sign-in/link/\S+", demo.words)
        assert link is not None
        assert redeem(link[0]) == 303
    assert "holds the demo's invented rows" in box.refused("serve")
    assert "300" in box.refused("demo", "--rows", "400")


def test_it_touches_no_real_folder(box: Box) -> None:
    box.ok("db", "upgrade")
    before = sorted(path.name for path in box.data.iterdir())
    assert "real requests" in box.refused("demo", "--rows", "10")
    assert sorted(path.name for path in box.data.iterdir()) == before
