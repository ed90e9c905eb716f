"""`python -m app`, with a heartbeat in its event loop: the longest time the loop spent without looking up.

Only what the loop's own thread computed counts: on a busy machine it also waits for its turn, and that is no fault.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from app.__main__ import main
from app.edge.server import LectrServer

BEAT_S = 0.01
_plain_startup = LectrServer.startup


async def _beat(report: Path) -> None:
    worst, stalls, beats, told = 0.0, 0, 0, 0.0
    while True:
        wall, computed = time.perf_counter(), time.thread_time()
        await asyncio.sleep(BEAT_S)
        took = min(time.perf_counter() - wall - BEAT_S, time.thread_time() - computed)
        beats += 1
        # The loop may do many small things between two beats; a single one is what a stall is, and it is not shorter.
        worst, stalls = max(worst, took), stalls + (took > 0.1)
        if time.monotonic() - told > 1.0:
            told = time.monotonic()
            text = json.dumps(
                {"worst_s": round(worst, 4), "stalls": stalls, "beats": beats, "tasks": len(asyncio.all_tasks())}
            )
            report.with_suffix(".new").write_text(text)
            report.with_suffix(".new").replace(report)


async def _startup(self: LectrServer, sockets: list[Any] | None = None) -> None:
    await _plain_startup(self, sockets)
    self.heartbeat = asyncio.create_task(_beat(Path(os.environ["LECTR_HEARTBEAT"])))  # type: ignore[attr-defined]


if __name__ == "__main__":
    LectrServer.startup = _startup  # type: ignore[method-assign]
    main()
