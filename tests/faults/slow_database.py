"""A database that is slow, each statement for 5 s, while a file says so: SQLite in its driver, PostgreSQL on its line.

The line is a process between Lectr and the server that holds back whatever Lectr says.
Run: python -m tests.faults.slow_database SERVER_PORT SWITCH PORT_FILE
"""

import asyncio
import contextlib
import os
import sqlite3
import sqlite3.dbapi2
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.faults.processes import Gateway

STATEMENT_S = 5.0
SWITCH = "slow"
STARTS_WITHIN_S = 20.0
_ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def slow(gateway: "Gateway", seconds: float) -> Iterator[None]:
    """Every statement takes 5 s. Needs a gateway whose driver, or whose line, looks for the switch."""
    switch = gateway.data_dir / SWITCH
    switch.touch()
    try:
        yield
        # It was as slow as it should be: what has waited longest is about as old as the fault.
        assert gateway.health()["ledger_oldest_waiting_s"] > seconds / 2
    finally:
        switch.unlink()


@contextlib.contextmanager
def slow_line(database: str, switch: Path) -> Iterator[str]:
    """The URL of the same database at the end of a line that is slow while `switch` is there."""
    server = urlsplit(database)
    switch.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    port_file = switch.parent.with_name("line.port")
    words = ("-m", "tests.faults.slow_database", str(server.port), str(switch), str(port_file))
    line = subprocess.Popen([sys.executable, *words], cwd=_ROOT)
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not (port_file.exists() and port_file.read_text()):
            assert line.poll() is None, "the line ended"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield database.replace(f":{server.port}/", f":{port_file.read_text()}/")
    finally:
        line.kill()
        line.wait()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, switch: Path | None) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            if switch is not None and switch.exists():
                await asyncio.sleep(STATEMENT_S)
            writer.write(data)
            await writer.drain()
    writer.close()


async def _main(server_port: int, switch: Path, port_file: Path) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, words = await asyncio.open_connection("127.0.0.1", server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_carry(reader, words, switch), _carry(answers, writer, None))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


def slow_driver() -> None:
    """No safeguard less: SQLite takes 5 s for each statement, and for each commit, while the switch is there."""
    switch = Path(os.environ["LECTR_DATA_DIR"]) / SWITCH

    def wait() -> None:
        if switch.exists():
            time.sleep(STATEMENT_S)

    class SlowCursor(sqlite3.Cursor):
        def execute(self, *values: Any) -> Any:
            wait()
            return super().execute(*values)

        def executemany(self, *values: Any) -> Any:
            wait()
            return super().executemany(*values)

    class SlowConnection(sqlite3.Connection):
        def cursor(self, factory: Any = SlowCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            wait()
            super().commit()

    def connect(*values: Any, **named: Any) -> Any:
        return real(*values, **({"factory": SlowConnection} | named))

    real: Any = sqlite3.connect
    # SQLAlchemy takes it from the one, aiosqlite from the other.
    drivers: tuple[Any, ...] = (sqlite3.dbapi2, sqlite3)
    for module in drivers:
        module.connect = connect


def asks_the_database() -> None:
    """Each request asks the database something before it is served, as other gateways look up their keys."""
    import app.pipeline

    pipeline: Any = app.pipeline.Pipeline
    run = pipeline.run

    async def ask_first(self: Any, *values: Any) -> None:
        await self._ledger._database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        await run(self, *values)

    pipeline.run = ask_first


def slow_and_asked() -> None:
    """Both."""
    slow_driver()
    asks_the_database()


CHANGES: dict[str, Callable[[], None]] = {
    "slow-driver": slow_driver,
    "asks-the-database": asks_the_database,
    "slow-driver-asked": slow_and_asked,
}


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
