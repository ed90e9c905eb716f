"""What doctor looks at before it asks a provider: the database, its last backup, and the folder of the spool."""

import asyncio
from pathlib import Path

from app.errors import LectrError
from app.ledger.clock import DAY_US, now_us, utc_text
from app.ledger.database import Database, open_database
from app.ledger.maintenance import last_backup_us, ledger_counts
from app.ledger.waiting import schema_in_use, try_spool, waiting_in_spool
from app.operations.doctor import DoctorStep
from app.settings import Settings

DATABASE = "database"
_BYTES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


async def examine_ledger(settings: Settings) -> tuple[DoctorStep, ...]:
    """Look at the ledger of these settings; what is wrong with it is in the steps. It is made where there is none."""
    folder = settings.data_dir / "spool"
    try:
        database = await open_database(settings)
    except LectrError as error:
        return DoctorStep(DATABASE, False, str(error)), await _spool(folder, None)
    try:
        return *await _database(database), _backup(database), await _spool(folder, database)
    finally:
        await database.close()


async def _database(database: Database) -> list[DoctorStep]:
    try:
        schema, counts = await schema_in_use(database), await ledger_counts(database)
    except LectrError as error:
        return [DoctorStep(DATABASE, False, f"{database.shown}: {error}")]
    found = f"{database.shown}, schema {schema}, {_size(counts.bytes)}, {_many(counts.requests, 'request')}"
    steps = [DoctorStep(DATABASE, True, found)]
    if counts.parked:
        steps.append(DoctorStep("parked rows", False, f"{counts.parked:,} could not be written as rows: see the log"))
    return steps


def _backup(database: Database) -> DoctorStep:
    if database.path is None:
        return DoctorStep("last backup", None, "not known here: the server's own tool, pg_dump, makes it")
    at_us = last_backup_us(database.path)
    if at_us is None:
        return DoctorStep("last backup", None, "none that this box knows of: `lectr backup` makes one")
    days = (now_us() - at_us) // DAY_US
    return DoctorStep(
        "last backup", True, f"{utc_text(at_us)}, {_many(days, 'day') + ' ago' if days > 0 else 'within a day'}"
    )


async def _spool(folder: Path, database: Database | None) -> DoctorStep:
    try:
        free = await asyncio.to_thread(try_spool, folder)
        waiting = None if database is None else await waiting_in_spool(database, folder)
    except (LectrError, OSError) as error:
        said = getattr(error, "strerror", None) or error
        return DoctorStep("spool", False, f"{folder} cannot be used: {said}")
    waits = "" if waiting is None else f", {_many(waiting, 'request')} without a row yet"
    return DoctorStep("spool", True, f"{folder} can be written, {_size(free)} free{waits}")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(size: int) -> str:
    for unit, name in _BYTES:
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"
