"""Several server processes on one socket: forked, watched, and ended together."""

import os
import signal
import time
from collections.abc import Callable

_RESTART_PAUSE_S = 0.5


def run_workers(number: int, serve: Callable[[], None]) -> None:
    """Run `serve` in `number` child processes until SIGTERM or SIGINT; a child that dies is replaced."""
    children: set[int] = set()
    ending = False

    def end(_signal: int, _frame: object) -> None:
        nonlocal ending
        first, ending = not ending, True
        if first:
            for child in children:
                os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for _ in range(number):
        children.add(_fork(serve))
    while children:
        try:
            child, _status = os.wait()
        except InterruptedError:
            continue
        children.discard(child)
        if not ending:
            time.sleep(_RESTART_PAUSE_S)
            children.add(_fork(serve))


def _fork(serve: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        serve()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os._exit(code)
