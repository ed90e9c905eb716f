"""`python -m tests.bench.advice`: the advice on a large ledger, and what it costs the programs beside it.

Builds, once in .bench/advice, a ledger of 1,000,000 requests of 40 models and 30 features, and one group of 100,000
whose columns do not explain their bills, so that each row has to be read. Then, over HTTP on a started Lectr:
the recommendations page from its first second on and warm, the exact re-pricing of that group, and the p99 of 100
requests a second to a canned provider with nothing beside them and with advice being made without a pause.
Exit code 1 where a bar is missed: page p95 300 ms, re-pricing 2 s, p99 10 ms over that alone.
"""

import argparse
import asyncio
import itertools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from app.asgi import REGISTRY_DIR
from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.load import load_catalog
from app.catalog.schema import Model
from app.domain import LedgerEntry, Outcome, UsageSource, new_request_id
from app.ledger.clock import DAY_US
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.metering.cost import cost_of
from app.metering.repricing import usage_of
from app.operations.advice import AdviceEngine
from app.settings import Settings
from tests.bench.beside_pages import quantiles, send
from tests.bench.measure import LOAD_CORE, TARGET_CORE, canned_provider
from tests.bench.pages import Box
from tests.conftest import find_tool
from tests.deploy.running import ROOT, Lectr, free_port, running_lectr, running_nginx

ROWS, ODD_ROWS = 1_000_000, 100_000
MODELS, FEATURES, DAYS = 40, 30, 30
TASKS = ("classification", "extraction", "summarisation", "generation", "reasoning", None)
PAGE_LIMIT_MS, REPRICE_LIMIT_S, P99_LIMIT_MS = 300.0, 2.0, 10.0
_AT_ONCE = 20_000
_ODD_MODEL, _ODD_FEATURE = "claude-opus-4-6", "us-only"


def chosen_models(catalog: Catalog, on: datetime) -> list[Model]:
    """40 priced models that answer text, of all providers in turn."""
    found: dict[str, list[Model]] = {}
    for model in catalog.models:
        alive = model.lifecycle.alive_on(on.date()) and model.capabilities.context_tokens is not None
        if model.mode == "chat" and model.served and alive and catalog.price_at(model.provider, model.id, on.date()):
            found.setdefault(model.provider, []).append(model)
    turns = max(map(len, found.values()))
    in_turn = [models[turn] for turn in range(turns) for models in found.values() if turn < len(models)]
    return in_turn[:MODELS]


def rows(catalog: Catalog, count: int, now_us: int, rng: random.Random) -> Iterator[LedgerEntry]:
    """Ordinary requests of the 30 days before now, oldest first."""
    today = datetime.fromtimestamp(now_us / 1e6, UTC)
    models = chosen_models(catalog, today)
    places = [(f"feature-{n:02}", TASKS[n % len(TASKS)], models[(n * 7 + k) % MODELS]) for n in range(FEATURES)
              for k in range(5)]  # fmt: skip
    for number in range(count):
        feature, task, model = rng.choice(places)
        into, out = int(rng.lognormvariate(6.5, 1.2)) + 1, int(rng.lognormvariate(4, 1)) + 1
        at_us = now_us - DAYS * DAY_US + number * DAYS * DAY_US // count
        told = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
        if model.provider == "anthropic":
            told = {"input_tokens": into, "output_tokens": out}
        yield entry(catalog, model, at_us, told, feature, task)


def odd_rows(catalog: Catalog, count: int, now_us: int, rng: random.Random) -> Iterator[LedgerEntry]:
    """One group, billed at a region's own rate: the columns alone do not say so."""
    model = catalog.find(_ODD_MODEL, "anthropic")
    assert model is not None
    for number in range(count):
        at_us = now_us - DAYS * DAY_US + number * DAYS * DAY_US // count
        told = {
            "input_tokens": rng.randint(1001, 6000),
            "cache_read_input_tokens": rng.randint(0, 2000),
            "output_tokens": rng.randint(1, 150),
            "inference_geo": "us",
        }
        yield entry(catalog, model, at_us, told, _ODD_FEATURE, "classification")


def entry(
    catalog: Catalog, model: Model, at_us: int, told: dict[str, object] | dict[str, int], feature: str, task: str | None
) -> LedgerEntry:
    """An answered request, metered as a real one is."""
    made = LedgerEntry(
        id=new_request_id(at_us),
        started_at_us=at_us,
        finished_at_us=at_us + 700_000,
        key="bench",
        provider=model.provider,
        detected_by="exact",
        request_model=model.id,
        response_model=model.id,
        endpoint="messages" if model.provider == "anthropic" else "chat.completions",
        status=200,
        outcome=Outcome.OK,
        duration_ms=700,
        usage_json=json.dumps(told, separators=(",", ":")),
        usage_source=UsageSource.PROVIDER,
        feature=feature,
        task=task,
    )
    usage = usage_of(made)
    assert usage is not None
    on = datetime.fromtimestamp(at_us / 1e6, UTC).date()
    names = {"provider": model.provider, "response_model": model.id, "request_model": model.id}
    cost = cost_of(catalog, usage, **names, service_tier=None, on=on)
    made.cost_picousd, made.cost_reason, made.price_entry = cost.picousd, cost.reason, cost.price_entry
    made.input_tokens, made.output_tokens = usage.input_tokens, usage.output_tokens
    made.cache_read_input_tokens, made.reasoning_tokens = usage.cache_read_input_tokens, usage.reasoning_tokens
    return made


async def fill(folder: Path, ordinary: int, odd: int) -> None:
    """Write the ledger, if it is not there."""
    if (folder / "lectr.db").exists():
        return
    database, catalog, rng = (
        await open_database(Settings(data_dir=folder)),
        load_catalog(REGISTRY_DIR),
        random.Random(1),
    )
    now_us = time.time_ns() // 1000
    for made in (rows(catalog, ordinary, now_us, rng), odd_rows(catalog, odd, now_us, rng)):
        while some := [one for _, one in zip(range(_AT_ONCE), made, strict=False)]:
            await insert_many(database, some)
    await database.close()


class Console:
    """A person and a script before a started Lectr."""

    def __init__(self, lectr: Lectr) -> None:
        command = [sys.executable, "-m", "app", "users", "link", "admin"]
        made = subprocess.run(
            command, cwd=ROOT, env=dict(lectr.environment), capture_output=True, text=True, timeout=60, check=True
        )
        self.page = Box(f"http://127.0.0.1:{lectr.port}", made.stdout).client
        token = lectr.environment["LECTR_ADMIN_TOKEN"]
        self.api = httpx.Client(base_url=self.page.base_url, headers={"authorization": f"Bearer {token}"}, timeout=600)

    def timed(self, path: str) -> tuple[float, str]:
        """Milliseconds of one page, and the page."""
        began = time.perf_counter()
        answer = self.page.get(path)
        took = (time.perf_counter() - began) * 1000
        assert answer.status_code == 200, (path, answer.status_code)
        return took, answer.text

    def report(self, **query: str) -> dict[str, object]:
        """The whole advice as the API gives it."""
        answer = self.api.get("/api/recommendations", params={"view": "traffic"} | query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def first_pages(console: Console) -> tuple[list[float], float]:
    """Every page from the first second until the advice is there: milliseconds of each, seconds until then."""
    began, times = time.perf_counter(), []
    while True:
        took, text = console.timed("/recommendations")
        times.append(took)
        if "Adding up your requests" not in text:
            return times, time.perf_counter() - began
        time.sleep(0.2)


def beside(lectr: Lectr, work: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of requests to the provider while `work` is done again and again."""
    end = threading.Event()

    def go_on() -> None:
        while not end.is_set():
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        return send(lectr, seconds)
    finally:
        end.set()
        thread.join()


def reprice_in_process(folder: Path) -> tuple[float, float, int]:
    """Seconds, and seconds of CPU, of making the whole report with every odd row read; and how many those were."""

    async def run() -> tuple[float, float, int]:
        database = await open_database(Settings(data_dir=folder))
        holder = CatalogHolder(load_catalog(REGISTRY_DIR))
        await AdviceEngine(database, holder, lambda: time.time_ns() // 1000).report()
        engine = AdviceEngine(database, holder, lambda: time.time_ns() // 1000)
        began, cpu = time.perf_counter(), time.process_time()
        await engine.report()
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        await database.close()
        return took, cpu, engine._memo.rows_read

    return asyncio.run(run())


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench" / "advice")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--odd-rows", type=int, default=ODD_ROWS)
    parser.add_argument("--seconds", type=float, default=12.0)
    asked = parser.parse_args(arguments)
    nginx = find_tool("nginx")
    if nginx is None:
        print("nginx is missing")
        return 1
    data = asked.folder / "data"
    asyncio.run(fill(data, asked.rows, asked.odd_rows))
    took, cpu, read = reprice_in_process(data)
    print(f"report with {read:,} rows read one by one: {took:.2f} s, {cpu:.2f} s of CPU")
    failed = [f"re-pricing took {took:.2f} s"] if took > REPRICE_LIMIT_S else []
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as temporary,
        running_nginx(nginx, Path(temporary) / "nginx", canned_provider(port), port, cores=LOAD_CORE),
        running_lectr(data, port, cores=TARGET_CORE, LECTR_ADMIN_PASSWORD="bench password") as lectr,
    ):
        lectr.create_key(f"bench-{time.time_ns()}")
        failed += served(lectr, asked.seconds)
    for words in failed:
        print(f"missed: {words}")
    return 1 if failed else 0


def served(lectr: Lectr, seconds: float) -> list[str]:
    """What is measured over HTTP; returns the bars that were missed."""
    console = Console(lectr)
    cold, until = first_pages(console)
    print(f"cold: advice after {until:.1f} s; {len(cold)} pages until then, the slowest {max(cold):.0f} ms")
    warm = quantiles([console.timed("/recommendations")[0] for _ in range(100)])
    print("warm page: p50 {:.1f} p95 {:.1f} p99 {:.1f} ms".format(*warm))
    send(lectr, 2)
    alone = quantiles(send(lectr, seconds))
    # Another first day each time: no report is at hand, so each is made anew.
    today = datetime.now(UTC).date()
    since = itertools.cycle(str(today - timedelta(days=days)) for days in range(7, DAYS))
    busy = quantiles(beside(lectr, lambda: console.report(since=next(since)), seconds))
    paged = quantiles(beside(lectr, lambda: console.timed("/recommendations"), seconds))
    for name, found in (("alone", alone), ("reports", busy), ("pages", paged)):
        print("proxy, {:8} p50 {:.2f} p95 {:.2f} p99 {:.2f} ms".format(name, *found))
    missed = []
    if max(*cold, warm[1]) > PAGE_LIMIT_MS:
        missed.append(f"a page took {max(*cold, warm[1]):.0f} ms")
    if busy[2] - alone[2] > P99_LIMIT_MS:
        missed.append(f"p99 beside reports is {busy[2] - alone[2]:.1f} ms over that alone")
    return missed


if __name__ == "__main__":
    sys.exit(main())
