"""The CLI `lectr`, and `python -m app`."""

import gc
import os
import signal
import sys
from typing import Any, cast

_SERVERS = (["serve"], ["demo"])
_LEFT_OUT = ("httpx._main", "pydantic", "attr", "attrs")
"""httpx and Litestar look for these and do without where they are missing. A server uses none of them, and they cost
it a sixth of its start and 4 to 12 MiB, by what else is installed."""


def main() -> None:
    """Entry point of the installed command."""
    # What Lectr writes is for its own user alone.
    os.umask(0o077)
    if sys.argv[1:2] in _SERVERS:
        # Whoever stops a server that is still starting must not read of a crash: the server takes this over.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        cast("dict[str, Any]", sys.modules).update(dict.fromkeys(_LEFT_OUT))
    if sys.argv[1:2] == ["serve"]:
        # What is imported and built stays; to look for garbage among it, again and again, takes a sixth of the start.
        gc.disable()
    # Only now, since this takes half a second.
    from app.commands.cli import lectr

    lectr(prog_name="lectr")


if __name__ == "__main__":
    main()
