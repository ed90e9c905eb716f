"""`make security`: a real Lectr process under at least 200,000 bad inputs, and what must hold afterwards.

0 unhandled faults (500, or the counter in /health), 0 exits, 0 stalls of the loop over 100 ms, 0 requests at the
provider that nobody sent, and connections as predicted: a marker on a connection of its own passes after each batch.
`python -m tests.security.siege 0.1` runs a tenth.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import httpx

from app.demo.serving import base_urls
from tests.edge.provider import CHAT, Call, Provider, running_provider
from tests.security import corpus
from tests.security.api_schema import attack
from tests.security.guesses import guess
from tests.security.load import turn
from tests.security.wire import AT_ONCE, exchange_all, statuses

ADMIN = "admin-token-of-the-siege"
BATCH = 2000
MAX_S = 18 * 60.0
QUIET_S = 0.06
API_EXAMPLES, GUESSES = 120, 10_000
INPUTS = {"smuggling": 5_000, "mutated": 62_000, "fields": 210, "json": 65_000, "garbage": 45_000, "paths": 30_000,
          "console": 12_000}  # fmt: skip


async def plain(call: Call) -> None:
    """The provider's answer to everything; it reads nothing that could break itself."""
    await call.json(CHAT)


class Siege:
    """One run: what was sent, what came back, what reached the provider."""

    def __init__(self, port: int, key: str, provider: Provider) -> None:
        self.port = port
        self.key = key
        self.provider = provider
        self.sent: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.problems: list[str] = []
        self.worked_s = 0.0

    @property
    def head(self) -> bytes:
        return f"Host: a\r\nX-Lectr-Key: {self.key}\r\nAuthorization: Bearer sk-a\r\n".encode()

    def attack(self, kind: str, attacks: Iterable[bytes], *, quiet_s: float = QUIET_S) -> None:
        """Send them batch by batch; after each, a marker must pass and nothing else may have reached the provider."""
        pending = iter(attacks)
        while batch := list(islice(pending, BATCH)):
            if self.worked_s > MAX_S:
                self.problems.append(f"{kind}: not all was sent within {MAX_S:.0f} s")
                return
            since = len(self.provider.seen)
            with self.working():
                answers = asyncio.run(exchange_all(self.port, batch, quiet_s))
            for data, answer in zip(batch, answers, strict=True):
                self.sent[kind] += 1
                found = statuses(answer)
                self.statuses.update(found)
                if 500 in found:
                    self.problems.append(f"{kind}: 500 for {data[:300]!r}")
            self._marker(kind, since)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """In its turn, and counted."""
        with turn():
            began = time.monotonic()
            yield
            self.worked_s += time.monotonic() - began

    def _marker(self, kind: str, since: int) -> None:
        marker = b"GET /v1/files/marker HTTP/1.1\r\n%bConnection: close\r\n\r\n" % self.head
        answers = asyncio.run(exchange_all(self.port, [marker], 5.0))
        if statuses(answers[0]) != [200]:
            self.problems.append(f"{kind}: the marker got {answers[0][:200]!r}")
        reached = [f"{seen.method} {seen.target}" for seen in self.provider.seen[since:]]
        if reached.count("GET /openai/v1/files/marker") != 1:
            self.problems.append(f"{kind}: the marker came {reached.count('GET /openai/v1/files/marker')} times")
        self.problems += [f"{kind}: {line} reached the provider" for line in reached if "smuggled" in line]
        # What was looked at is not kept: the provider would grow with the siege.
        self.provider.seen[:] = self.provider.seen[:0]


def requests(head: bytes, bodies: Iterable[bytes]) -> Iterator[bytes]:
    paths = (b"chat/completions", b"messages", b"responses", b"embeddings", b"completions", b"files")
    for number, body in enumerate(bodies):
        start = b"POST /v1/%b HTTP/1.1\r\n%bContent-Type: application/json\r\n" % (paths[number % len(paths)], head)
        yield start + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def targets(head: bytes) -> Iterator[bytes]:
    for number, climb in enumerate(corpus.traversals()):
        target = corpus.as_target(climb)
        start = (
            b"/v1/",
            b"/static/",
            b"/api/requests/",
            b"/requests/",
            b"/models/",
            b"/",
            b"/sign-in/link/",
            b"/v1/models/",
        )
        for place in start[number % 2 :: 2] if number % 5 else start:
            method = corpus.METHODS[number % len(corpus.METHODS)].encode()
            for verb in (b"GET", method):
                yield b"%b %b%b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (verb, place, target, head)


def strangers() -> Iterator[bytes]:
    """Console and API, from outside: forms, tokens, cookies and hosts that are none."""
    wrong = (
        "'",
        "' OR 1=1 --",
        "{{7*7}}",
        "${7*7}",
        "%00",
        "\x1b[31m",
        "=1+1",
        "<script>",
        "..",
        "a" * 300,
        "[",
        "é",
        "%",
    )
    paths = (
        "/sign-in",
        "/sign-in/link/x",
        "/settings/keys",
        "/settings/azure",
        "/api/requests",
        "/api/overrides",
        "/detect",
    )
    for path in paths:
        for method in ("GET", "POST", "DELETE", "PUT"):
            for value in wrong:
                for place in ("query", "cookie", "authorization", "origin", "host", "content-type", "form", "accept"):
                    query = f"?next={value}&search={value}&limit={value}" if place == "query" else ""
                    fields = {"host": "127.0.0.1", "content-type": "application/x-www-form-urlencoded"}
                    if place in ("cookie", "authorization", "origin", "host", "content-type", "accept"):
                        fields[place] = {"cookie": "lectr=", "authorization": "Bearer "}.get(place, "") + value
                    body = f"name={value}&password={value}&csrf={value}".encode()
                    head = "".join(f"{name}: {text}\r\n" for name, text in fields.items()).encode()
                    line = f"{method} {path}{query} HTTP/1.1\r\n".encode()
                    yield line + head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def lay(siege: Siege, share: float) -> None:
    """All kinds of attack, `share` of their numbers."""
    count = {kind: int(number * share) for kind, number in INPUTS.items()}
    head = siege.head
    siege.attack("smuggling", islice((data for _, data in corpus.smuggling(head)), count["smuggling"]))
    siege.attack("mutated", (data for _, data in corpus.mutated_smuggling(head, count["mutated"])))
    lines = (b"GET /v1/files/x HTTP/1.1\r\n%b\r\n%b\r\n" % (line, head) for _, line in corpus.bad_bytes_in_fields())
    siege.attack("fields", lines)
    siege.attack("json", requests(head, corpus.json_bodies(count["json"])), quiet_s=2.0)
    siege.attack("garbage", corpus.garbage(count["garbage"]))
    siege.attack("paths", islice(targets(head), count["paths"]), quiet_s=2.0)
    siege.attack("console", islice(strangers(), count["console"]), quiet_s=2.0)
    shared(siege)
    api(siege, max(2, int(API_EXAMPLES * share)))
    doors(siege, max(100, int(GUESSES * share)))


def shared(siege: Siege) -> None:
    """The shared lists, where they are there: JSON's test suite as bodies, naughty strings in every field."""
    folder = Path(__file__).parents[3] / "shared/data/bad-inputs"
    if not folder.exists():
        print(f"{folder} is not there: its lists are not sent")
        return
    lines = (folder / "json_test_suite.jsonl").read_text().splitlines()
    suite = [base64.b64decode(json.loads(line)["base64"]) for line in lines]
    siege.attack("json suite", requests(siege.head, (body for body in suite for _ in range(6))), quiet_s=2.0)
    strings = [text.encode("utf-8", "replace") for text in json.loads((folder / "naughty_strings.json").read_text())]
    siege.attack("naughty", naughty(siege.head, strings), quiet_s=2.0)


def naughty(head: bytes, strings: list[bytes]) -> Iterator[bytes]:
    for text in strings:
        value = text.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")[:4000]
        body = json.dumps({"model": text.decode("utf-8", "replace")[:200] or "x", "messages": []}).encode()
        for field in (b"X-Lectr-Feature", b"X-Lectr-Task", b"X-Lectr-Provider", b"User-Agent"):
            start = b"POST /v1/chat/completions HTTP/1.1\r\n%b%b: %b\r\nConnection: close\r\n" % (head, field, value)
            yield start + b"Content-Length: %d\r\n\r\n" % len(body) + body


def api(siege: Siege, examples: int) -> None:
    """What schemathesis makes of /api/openapi.json."""
    with warnings.catch_warnings(), siege.working():
        warnings.simplefilter("ignore")
        sent, problems = attack(f"http://127.0.0.1:{siege.port}", ADMIN, examples)
    siege.sent["api"] += sum(sent.values())
    siege.statuses.update({int(told.rpartition(" ")[2]): times for told, times in sent.items()})
    siege.problems += problems


def doors(siege: Siege, count: int) -> None:
    """Guesses at the sign-in form: at most ten a minute at one name are looked at, wherever they claim to come from."""
    began = time.monotonic()
    with siege.working():
        statuses = asyncio.run(guess(siege.port, count))
    minutes = (time.monotonic() - began) / 60
    siege.sent["guesses"] += count
    siege.statuses.update(statuses)
    if set(statuses) - {401, 429} or statuses[401] > 10 * (minutes + 1):
        siege.problems.append(f"guesses: {dict(statuses)} in {minutes:.1f} minutes")


def start(folder: Path, address: str, **settings: str) -> "tuple[subprocess.Popen[str], int, str]":
    """A Lectr process, its port and a key; `settings` are variables of its environment."""
    urls = base_urls(address)
    environment = {
        "PATH": os.environ["PATH"],
        "LECTR_DATA_DIR": str(folder / "data"),
        "LECTR_ADMIN_TOKEN": ADMIN,
        "LECTR_ALLOW_PRIVATE_UPSTREAMS": "1",
        "LECTR_HEARTBEAT": str(folder / "heartbeat.json"),
        "LECTR_AZURE_ENDPOINT": urls["azure"],
        **{f"LECTR_{name.upper()}_BASE_URL": url for name, url in urls.items() if name != "azure"},
        **settings,
    }
    command = [sys.executable, "-m", "tests.security.watched", "serve", "--port", "0", "--first-steps"]
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    said = ""
    while "curl" not in said:
        line = process.stdout.readline()
        assert line, (folder / "errors").read_text()
        said += line
    port, key = re.search(r"http://127\.0\.0\.1:(\d+)", said), re.search(r"lc_key_\w{32}", said)
    assert port is not None
    assert key is not None
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port[1]}/health")
            break
        except httpx.ConnectError:
            time.sleep(0.05)
    return process, int(port[1]), key[0]


def verdict(siege: Siege, process: "subprocess.Popen[str]", folder: Path, whole: bool) -> list[str]:
    """What does not hold."""
    problems = siege.problems
    if process.poll() is not None:
        return [*problems, f"Lectr ended with {process.returncode}"]
    health = httpx.get(f"http://127.0.0.1:{siege.port}/health").json()
    if health["unexpected_errors"]:
        problems.append(f"{health['unexpected_errors']} unexpected errors")
    time.sleep(1.5)
    beat = json.loads((folder / "heartbeat.json").read_text())
    print(f"loop: {beat}")
    if beat["stalls"]:
        problems.append(f"{beat['stalls']} stalls of the loop over 100 ms, the longest {beat['worst_s']} s")
    for number, line in enumerate((folder / "errors").read_text().splitlines()):
        try:
            record = json.loads(line)
        except ValueError:
            problems.append(f"line {number} of the log is no JSON: {line[:200]}")
            continue
        if record["level"] in ("error", "critical"):
            problems.append(f"logged: {record['message'][:200]} {record.get('trace', '')[-600:]}")
    if whole and sum(siege.sent.values()) < 200_000:
        problems.append(f"only {sum(siege.sent.values())} inputs were sent")
    return problems


def run(share: float) -> list[str]:
    """The whole siege; returns what does not hold."""
    with tempfile.TemporaryDirectory() as name, running_provider() as provider:
        folder, provider.default = Path(name), plain
        process, port, key = start(folder, provider.address)
        try:
            siege = Siege(port, key, provider)
            lay(siege, share)
            found = verdict(siege, process, folder, share >= 1)
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode != 0:
            found.append(f"Lectr ended with {process.returncode}")
    print(f"sent {sum(siege.sent.values()):,} in {siege.worked_s:.0f} s, {AT_ONCE} at once: {dict(siege.sent)}")
    print(f"answers: {dict(sorted(siege.statuses.items()))}")
    return found


if __name__ == "__main__":
    problems = run(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    for problem, times in Counter(problems).most_common(40):
        print(f"{times} x {problem}")
    sys.exit(1 if problems else 0)
