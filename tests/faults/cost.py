"""What the spool adds to a request: python -m tests.faults.cost [ROUNDS]. Server with and without it, in turns.

Without it a row is confirmed by the database's commit, as the control `no-spool` has it.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.clients import Crowd
from tests.faults.processes import Gateway, Provider

MODES: tuple[str | None, str | None] = (None, "no-spool")
WARM_S, MEASURED_S = 1.0, 4.0


def measure(gateway: Gateway, key: str, clients: int) -> tuple[float, float]:
    """Median milliseconds of a JSON answer less what the provider itself waits, and answers per second."""
    crowd = Crowd(gateway.port, key, clients=clients, seed=time.time_ns(), streams=0.0)
    asyncio.run(crowd.call_for(WARM_S))
    crowd.seen.clear()
    asyncio.run(crowd.call_for(MEASURED_S))
    done = [one for one in crowd.seen if one.complete and one.status == 200]
    return statistics.median(one.seconds for one in done) * 1000, len(done) / MEASURED_S


def main(rounds: int) -> None:
    """Alternate, and print medians over the rounds."""
    found: dict[tuple[str | None, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="lectr-cost-") as name:
        work = Path(name)
        provider = Provider(work, "--prompt")
        gateways = []
        for number, mode in enumerate(MODES):
            folder = work / str(number)
            folder.mkdir()
            gateway = Gateway(folder, provider.port, mode)
            gateways.append((mode, gateway, gateway.make_key()))
            gateway.start()
        for turn in range(rounds):
            for mode, gateway, key in gateways if turn % 2 else reversed(gateways):
                for clients in (1, 64):
                    found.setdefault((mode, clients), []).append(measure(gateway, key, clients))
        for _, gateway, _ in gateways:
            assert gateway.terminate() == 0
        provider.end()
    for (mode, clients), values in sorted(found.items(), key=str):
        latency, rate = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{'spool' if mode is None else 'no spool'}, {clients:2} at once: {latency:.2f} ms, {rate:.0f}/s")
    one, many = (
        [[value[place] for value in found[mode, clients]] for mode in MODES] for clients, place in ((1, 0), (64, 1))
    )
    added = statistics.median(with_it - without for with_it, without in zip(*one, strict=True))
    kept = statistics.median(with_it / without for with_it, without in zip(*many, strict=True))
    print(f"added to the median at 1: {added:+.2f} ms; rate kept at 64: {kept:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
