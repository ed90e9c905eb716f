"""The demo's own data folder: told from a real one by a small file that is written before the first sample row."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.demo.traffic import SEED
from app.errors import SettingsError

DEFAULT_ROWS = 20_000
DEFAULT_FOLDER = Path("data-demo")
_MARK = "demo.json"
_LEDGER = "lectr.db"


class Plan(msgspec.Struct, frozen=True):
    """The sample traffic of a folder. The same plan always gives the same rows, so a build that was cut off goes on."""

    rows: int
    now_us: int
    seed: int = SEED
    complete: bool = False


def demo_folder(environ: Mapping[str, str]) -> Path:
    """`LECTR_DATA_DIR` where it is set, else `./data-demo`: never the folder that `lectr serve` uses unasked."""
    return Path(environ.get("LECTR_DATA_DIR", "").strip() or DEFAULT_FOLDER)


def is_demo_folder(folder: Path) -> bool:
    """True if what lies here is sample traffic."""
    return (folder / _MARK).is_file()


def claim_folder(folder: Path, rows: int | None, now_us: int) -> Plan:
    """What to build in this folder: a new plan, written down here, or the one it already has. Call it before the ledger
    is opened: a ledger that comes first is taken for a real one.

    Raises SettingsError for a folder with a ledger that the demo did not make, and for one whose sample traffic has
    another number of rows than is asked for now; OSError where the folder cannot be written.
    """
    mark = folder / _MARK
    if not mark.is_file():
        if (folder / _LEDGER).exists():
            raise SettingsError(
                f"{folder} holds a ledger with real requests, and the demo does not touch it; "
                "set LECTR_DATA_DIR to a new folder"
            )
        plan = Plan(DEFAULT_ROWS if rows is None else rows, now_us)
        keep_plan(folder, plan)
        return plan
    try:
        plan = msgspec.json.decode(mark.read_bytes(), type=Plan)
    except msgspec.DecodeError:
        raise SettingsError(f"{mark} cannot be read; remove the folder {folder} to build the demo anew") from None
    if rows is not None and rows != plan.rows:
        raise SettingsError(
            f"{folder} holds a demo of {plan.rows:,} requests; remove the folder to build one of {rows:,}"
        )
    return plan


def keep_plan(folder: Path, plan: Plan) -> None:
    """Write the plan down; the folder is the demo's from here on. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark, draft = folder / _MARK, folder / (_MARK + ".new")
    draft.write_bytes(msgspec.json.encode(plan))
    os.replace(draft, mark)
