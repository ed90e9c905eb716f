"""The console and the API on a large ledger, as parts of the benchmark."""

import time
from pathlib import Path
from statistics import median

import httpx

from tests.bench.pages import Timed, measure, served_demo
from tests.bench.rates import Plan
from tests.bench.results import Cell, Part, part_of

MILLION = 1_000_000
ROUNDS = 20
API = (
    *("/api/requests", "/api/requests?limit=1000", "/api/requests?model=gpt-4o-mini&status=4xx", "/api/self-check"),
    *("/api/usage?by=day", "/api/usage?by=model", "/api/usage?by=feature", "/api/usage?by=key&since=2026-11-01"),
    *("/api/models", "/api/recommendations", "/api/detect?model=gpt-4o-mini"),
)


def pages_part(_nginx: str, folder: Path, _plan: Plan) -> Part:
    """Every page and every answer of the API on 1,000,000 rows."""
    return part_of(measure_ledger(folder, MILLION), ROUNDS)


def measure_ledger(folder: Path, rows: int) -> list[Cell]:
    """Build the demo's ledger in `folder` where it is not there yet, and load everything that reads it."""
    fresh = not (folder / "data").exists()
    with served_demo(folder, rows) as (box, took):
        pages = measure(box, ROUNDS)
        api = measure_api(box.url, folder / "data" / "admin-token")
    files = (folder / "data" / name for name in ("lectr.db", "lectr.db-wal"))
    size = sum(file.stat().st_size for file in files if file.exists())
    ledger = {"bytes_per_row": round(size / rows, 1)} | ({"build_s": round(took, 1)} if fresh else {})
    cells = [
        Cell("console", rows, _figures(pages)),
        Cell("api", rows, _figures(api)),
        Cell("ledger", rows, ledger),
    ]
    for cell in cells:
        print(f"  {cell.at:>10,} {cell.target:<8} {cell.figures}", flush=True)
    for timed in sorted([*pages, *api], key=lambda one: one.quantile(0.95))[-5:]:
        print(f"  {timed.quantile(0.95):8.1f} ms p95  {timed.path}", flush=True)
    return cells


def measure_api(url: str, token: Path) -> list[Timed]:
    """Each address of the API, again and again; the first time is not counted."""
    found = []
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for path in API:
            times = []
            for number in range(ROUNDS + 1):
                began = time.perf_counter()
                answer = client.get(path)
                if number:
                    times.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, (path, answer.status_code, answer.text[:200])
            found.append(Timed(path, sorted(times), len(answer.content)))
    return found


def _figures(timed: list[Timed]) -> dict[str, float]:
    return {
        "addresses": len(timed),
        "p50_ms": round(median(one.quantile(0.5) for one in timed), 2),
        "p95_ms": round(max(one.quantile(0.95) for one in timed), 2),
    }
