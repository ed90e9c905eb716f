"""Cost as work grows: requests a second, p99 and memory against connections, body size, rows and keys."""

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tests.bench.field import field
from tests.bench.fill import fill_keys, fill_rows
from tests.bench.measure import (
    LOAD_CORE,
    PROVIDER_KEY,
    REQUEST,
    TARGET_CORE,
    Load,
    Run,
    Target,
    alternate,
    check_rows,
    cpu_ns,
    forget_peak,
    peak_mib,
    put_load,
)
from tests.bench.peers import calm_down
from tests.bench.providers import json_provider, slow_provider
from tests.bench.rates import BUSY, Plan, runner
from tests.bench.results import Cell, Part, cells_of, part_of
from tests.deploy.running import Lectr, free_port, running_lectr

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
BODIES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
ROWS = (0, 10_000, 100_000, 1_000_000)
KEYS = (1, 10, 100, 1_000, 10_000)
_FEW_MB = 10_000_000
"""Bytes of bodies under way at once: with more, the load's own memory is what is measured."""

_KEYS_SCRIPT = """
local bodies, at = {{}}, 0
for key in io.lines("{keys}") do
  bodies[#bodies + 1] = wrk.format("POST", "/v1/chat/completions", {{["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer {provider_key}", ["X-Lectr-Key"] = key}}, [==[{body}]==])
end
request = function() at = at % #bodies + 1; return bodies[at] end
"""


def connections_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """1 to 1,024 connections at once, Lectr and nginx."""
    with (
        field(nginx, folder, peers=False) as both,
        json_provider(nginx, folder, both.upstream_port),
    ):
        buffering = both.targets["nginx, buffering"]
        targets = [both.targets["lectr"], Target("nginx", buffering.port, buffering.pid)]
        run = runner({"lectr": both.lectr}, folder, REQUEST)
        return part_of(_grow(targets, CONNECTIONS, plan, run), plan.rounds)


def body_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """Requests of 1 KB to 10 MB, Lectr and nginx; the provider reads each to its end and answers shortly."""
    with field(nginx, folder, peers=False) as both, slow_provider(folder / "slow", both.upstream_port):
        unbuffered = both.targets["nginx"]
        targets = [both.targets["lectr"], Target("nginx", unbuffered.port, unbuffered.pid)]

        def run(target: Target, size: int, seconds: int) -> Run:
            connections = max(1, min(16, _FEW_MB // size))
            return runner({"lectr": both.lectr}, folder, body_of(size))(target, connections, seconds)

        notes = ["16 requests at once, of bodies of 1 MB ten, of 10 MB one."]
        return part_of(_grow(targets, BODIES, plan, run), plan.rounds, notes)


def body_of(size: int) -> bytes:
    """A chat request of exactly so many bytes."""
    head, tail = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"', b'"}]}'
    words = b"Why is the sky blue at noon and red at dusk? "
    filling = size - len(head) - len(tail)
    return head + (words * (filling // len(words) + 1))[:filling] + tail


def _grow(
    targets: list[Target], loads: tuple[int, ...], plan: Plan, run: Callable[[Target, int, int], Run]
) -> list[Cell]:
    """Loads from small to large, several times; memory is the most a target held in its first run under a load."""
    for target in targets:
        run(target, loads[0], 1)
    memory: dict[tuple[str, int], float] = {}
    rounds: dict[int, list[dict[str, Run]]] = {load: [] for load in loads}
    for number in range(plan.rounds):
        for load in loads:
            order = targets if number % 2 == 0 else targets[::-1]
            runs = {}
            for target in order:
                forget_peak(target.pid)
                runs[target.name] = run(target, load, plan.seconds)
                memory.setdefault((target.name, load), peak_mib(target.pid))
            rounds[load].append(runs)
    cells = []
    for load in loads:
        for cell in cells_of(rounds[load], load):
            rss = round(memory[cell.target, load], 1)
            cells.append(msgspec.structs.replace(cell, figures={**cell.figures, "rss_mib": rss}))
            print(f"  {load:>10,} {cell.target:<8} {cells[-1].figures}", flush=True)
    return cells


def ledger_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """The same load on ledgers of 0 to 1,000,000 rows, a Lectr each, all at once."""
    folders = {rows: folder / f"rows-{rows}" / "data" for rows in ROWS}
    for rows, data in folders.items():
        print(f"  filling a ledger with {rows:,} rows", flush=True)
        fill_rows(data, rows)

    def one_key(lectr: Lectr, _at: int) -> Callable[[Target, int], Run]:
        lectr.create_key("bench")
        return lambda target, seconds: put_load(target, lectr.key, folder, connections=BUSY, seconds=seconds)

    return part_of(_side_by_side(nginx, folder, folders, plan, one_key), plan.rounds)


def keys_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """The same load by 1 to 10,000 keys in turn, a Lectr each, all at once."""
    folders = {number: folder / f"keys-{number}" / "data" for number in KEYS}
    secrets = {number: fill_keys(data, number) for number, data in folders.items()}

    def many_keys(lectr: Lectr, number: int) -> Callable[[Target, int], Run]:
        listed = folder / f"keys-{number}.txt"
        listed.write_text("\n".join(secrets[number]) + "\n")
        lectr.wait_until_known(secrets[number][0])
        return lambda target, seconds: _put_keys(target, listed, folder, seconds)

    return part_of(_side_by_side(nginx, folder, folders, plan, many_keys), plan.rounds)


def _side_by_side(
    nginx: str,
    folder: Path,
    folders: dict[int, Path],
    plan: Plan,
    prepare: Callable[[Lectr, int], Callable[[Target, int], Run]],
) -> list[Cell]:
    """A Lectr on each folder; the one with the least is what the others are compared to."""
    upstream = free_port()
    with ExitStack() as stack:
        stack.enter_context(json_provider(nginx, folder, upstream))
        targets, lectrs, loads = [], {}, {}
        for at, data in folders.items():
            name = str(at)
            lectrs[name] = stack.enter_context(running_lectr(data, upstream, cores=TARGET_CORE))
            loads[name] = prepare(lectrs[name], at)
            targets.append(Target(name, lectrs[name].port, lectrs[name].process.pid))

        def run(target: Target, seconds: int) -> Run:
            before = lectrs[target.name].rows()
            measured = loads[target.name](target, seconds)
            check_rows(lectrs[target.name], before, measured.load, BUSY)
            calm_down(target.pid)
            return measured

        for target in targets:
            run(target, 1)
        rounds = list(alternate(targets, plan.rounds, lambda target: run(target, plan.seconds)))
        least = targets[0].name
        memory = {target.name: round(peak_mib(target.pid), 1) for target in targets}
    cells = []
    for cell in cells_of(rounds, 0, base_of=lambda _name: least):
        figures = {**cell.figures, "rss_mib": memory[cell.target]}
        cells.append(Cell("lectr", int(cell.target), figures))
        print(f"  {cells[-1].at:>10,} {figures}", flush=True)
    return cells


def _put_keys(target: Target, keys: Path, folder: Path, seconds: int) -> Run:
    """As put_load does, with another key for each request. Raises RuntimeError on any error."""
    from tests.bench.measure import WRK_SCRIPT

    done = WRK_SCRIPT[WRK_SCRIPT.index("done =") :].format()
    script = folder / "keys.lua"
    script.write_text(_KEYS_SCRIPT.format(keys=keys, provider_key=PROVIDER_KEY, body=REQUEST.decode()) + done)
    before = cpu_ns(target.pid)
    address = f"http://127.0.0.1:{target.port}"
    command = f"taskset -c {LOAD_CORE} wrk -t1 -c{BUSY} -d{seconds}s --timeout 10s -s {script} {address}"
    wrk = subprocess.run(command.split(), capture_output=True, text=True, timeout=seconds + 30)
    spent = cpu_ns(target.pid) - before
    if wrk.returncode != 0:
        raise RuntimeError(f"wrk failed: {wrk.stderr or wrk.stdout}")
    load = msgspec.json.decode(wrk.stdout.strip().splitlines()[-1], type=Load)
    if load.errors or load.bad_status or not load.requests:
        raise RuntimeError(f"{target.name}: {load}")
    return Run(target.name, load, spent / 1000 / load.requests)
