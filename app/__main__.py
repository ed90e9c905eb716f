"""The CLI `lectr`, and `python -m app`."""

import os
import signal
import sys

_SERVERS = (["serve"], ["demo"])


def main() -> None:
    """Entry point of the installed command."""
    # What Lectr writes is for its own user alone.
    os.umask(0o077)
    if sys.argv[1:2] in _SERVERS:
        # Whoever stops a server that is still starting must not read of a crash: the server takes this over.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Only now, since this takes half a second.
    from app.commands.cli import lectr

    lectr(prog_name="lectr")


if __name__ == "__main__":
    main()
