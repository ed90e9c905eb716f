"""A later version brings the ledger to its schema while this one serves, and is killed at it again and again."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from subprocess import Popen
from typing import Any

import msgspec

from app.ledger.database import open_database
from app.ledger.schema import HEAD
from app.settings import Settings
from tests.faults.clients import Crowd
from tests.faults.next_version import add_revision, revisions
from tests.faults.oracle import judge
from tests.faults.processes import Gateway
from tests.faults.runs import Run, box

STATEMENTS = 24
"""About as many as the invented migration has, BEGIN and Alembic's own among them."""
ENDS_WITHIN_S = 60.0
SETTLES_WITHIN_S = 15.0
"""What a control has not brought home by then never comes."""


class Upgrades(msgspec.Struct):
    """The `lectr db upgrade`s of the later version: how many were killed, and how many of these amid the migration."""

    gateway: Gateway
    revisions: Path
    marks: Path
    kind: str
    draw: random.Random
    killed: int = 0
    amid: int = 0
    completed: int = 0
    wrong: list[str] = []

    def run(self, *, killed: bool) -> None:
        """Upgrade once; if it is to be `killed`, then at any moment, and alone or with its child that migrates."""
        mark = self.marks / f"{self.killed + self.completed}"
        mark.touch()
        process = self.gateway.command(
            "db",
            "upgrade",
            control="later-schema",
            LECTR_FAULTS_REVISIONS=str(self.revisions),
            LECTR_FAULTS_MARK=str(mark),
            LECTR_FAULTS_NEXT=self.kind,
        )
        if killed:
            self._wait(process, mark)
        if killed and process.poll() is None:
            # A child that is left alone goes on, while the next one begins.
            target = os.killpg if self.draw.random() < 0.8 else os.kill
            target(process.pid, signal.SIGKILL)
            process.wait()
            self.killed += 1
            self.amid += mark.stat().st_size > 0
        elif (code := process.wait(ENDS_WITHIN_S)) != 0:
            self.completed += 1
            self.wrong.append(f"the upgrade ended with {code}: {self.gateway.said()[-200:]}")
        else:
            self.completed += 1

    def _wait(self, process: "Popen[bytes]", mark: Path) -> None:
        """Until it is to die: one in five anywhere, the others behind a statement of the migration."""
        statement = self.draw.randrange(1, STATEMENTS) if self.draw.random() < 0.8 else 0
        until = time.monotonic() + (ENDS_WITHIN_S if statement else self.draw.uniform(0.05, 2.0))
        while process.poll() is None and time.monotonic() < until:
            if statement and mark.stat().st_size >= statement:
                return
            time.sleep(0.001)

    def check(self, version: str) -> None:
        """The schema must be one that some version speaks."""
        if version not in (HEAD, *revisions(self.revisions)):
            self.wrong.append(f"the schema is at {version}")


async def version_of(settings: Settings) -> str:
    """The revision that the ledger is at. What reads it is this version, which changes none that is newer."""
    database = await open_database(settings)
    try:
        return await database.read(
            lambda connection: str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())
        )
    finally:
        await database.close()


def migration(folder: Path, *, kills: int = 50, kind: str = "", clients: int = 8, database: str = "") -> Run:
    """Under load, `kills` upgrades are killed and each is run again; then one ends, and this version starts anew."""
    with box(folder, database=database) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd = Crowd(gateway.port, key, clients=clients, leaves=0.02, seed=26)
        marks = folder / "marks"
        marks.mkdir()
        upgrades = Upgrades(gateway, folder / "revisions", marks, kind, random.Random(26))
        newest = add_revision(upgrades.revisions)

        async def upgrade() -> None:
            nonlocal newest
            while upgrades.killed < kills and len(upgrades.wrong) < 3:
                await asyncio.to_thread(upgrades.run, killed=True)
                version = await version_of(gateway.settings)
                upgrades.check(version)
                if version == newest:
                    newest = add_revision(upgrades.revisions)
            await asyncio.to_thread(upgrades.run, killed=False)
            if await version_of(gateway.settings) != newest:
                upgrades.wrong.append("the last upgrade has not upgraded")

        counts = asyncio.run(_under_load(crowd, upgrade()))
        gateway.kill()
        gateway.start()
        asyncio.run(crowd.call_for(1))
        health = gateway.settle(SETTLES_WITHIN_S if kind else 60.0)
        assert gateway.terminate() == 0
        verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
        failures = counts["failed"] + len(upgrades.wrong)
        notes: dict[str, Any] = {"killed": upgrades.killed, "amid": upgrades.amid, "completed": upgrades.completed}
        notes |= {"revisions": len(revisions(upgrades.revisions)), "wrong": upgrades.wrong, **counts}
        return Run(verdict, gateway.ready_s, health, failures=failures, notes=notes)


async def _under_load(crowd: Crowd, work: Any) -> dict[str, int]:
    """Do the work while the crowd calls; what failed, and the longest answer in milliseconds."""
    working = asyncio.ensure_future(work)
    await crowd.call_for(1)
    while not working.done():
        await crowd.call_for(1)
    await working
    slowest = max(one.seconds for one in crowd.seen)
    return {"failed": sum(one.failed for one in crowd.seen), "slowest_ms": round(slowest * 1000)}
