"""What is wrong with the ledger at present, in words for people and codes for programs, gravest first."""

from collections.abc import Iterator

import msgspec

from app.ledger.care import CareFigures
from app.ledger.clock import utc_text
from app.ledger.setting_aside import SetAside
from app.ledger.writer import WriterCounters

BEHIND_S = 5.0


class Trouble(msgspec.Struct, frozen=True):
    """`grave`: something of the ledger needs a look; else it mends itself and is only told."""

    code: str
    sentence: str
    grave: bool = True


def troubles(writer: WriterCounters, care: CareFigures) -> list[Trouble]:
    """Each step of the ladder from a spool that is slow to rows that are lost; empty where all is well."""
    found = []
    if writer.lost:
        found.append(Trouble("lost", f"{writer.lost:,} rows were lost since this process started: see the log."))
    found += _of_the_spool(writer, care)
    found += _of_the_database(writer)
    found += [Trouble("set_aside", _about(report)) for report in care.set_aside]
    if writer.replaying:
        found.append(
            Trouble("replaying", f"{writer.replaying:,} records of the spool are being brought into the ledger.", False)
        )
    return found


def _of_the_spool(writer: WriterCounters, care: CareFigures) -> Iterator[Trouble]:
    if writer.spool_error:
        yield Trouble(
            "spool_failed",
            f"The spool cannot be written ({writer.spool_error}): {writer.spool_unwritten:,} records are in memory "
            "only. Traffic goes on; give the disk room or mend it.",
        )
    elif care.slow:
        yield Trouble("spool_slow", "The spool's disk is slow: some answers went out before their row was safe.", False)
    if writer.spool_damaged:
        yield Trouble("spool_damaged", f"{writer.spool_damaged:,} records of the spool were unreadable.")
    if writer.spool_unread:
        yield Trouble(
            "spool_unread", f"{writer.spool_unread:,} records of the spool are of another version and wait for it."
        )


def _of_the_database(writer: WriterCounters) -> Iterator[Trouble]:
    if writer.last_error:
        yield Trouble(
            "database_failed",
            f"The database cannot be written ({writer.last_error}): {writer.waiting:,} rows wait, the oldest for "
            f"{writer.oldest_waiting_s:.0f} s. Traffic goes on, and they follow when it can.",
        )
    elif writer.oldest_waiting_s > BEHIND_S:
        yield Trouble(
            "behind", f"The ledger is {writer.oldest_waiting_s:.0f} s behind: {writer.waiting:,} rows wait.", False
        )
    if writer.parked:
        yield Trouble(
            "parked", f"{writer.parked:,} rows could not be written to the ledger and are parked: see the log."
        )


def _about(report: SetAside) -> str:
    saved = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in report.saved.items()) or "nothing else"
    missing = f" Not all of {', '.join(report.incomplete)} could be read there." if report.incomplete else ""
    if not report.searched:
        rows = "Its requests are being read."
    elif report.gaps:
        rows = (
            f"{report.rows:,} requests were read from it; {report.gaps:,} parts could not be: a backup may have them."
        )
    else:
        rows = f"{report.rows:,} requests were read from it, none was missed."
    return (
        f"The database was damaged on {utc_text(report.at_us)} and replaced: the new one has {saved}.{missing} {rows} "
        f"Delete {report.file} when you have looked at it."
    )
