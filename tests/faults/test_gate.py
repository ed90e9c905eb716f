"""The quick gate: no row is lost or doubled by kill -9 or a database that fails, and the harness can tell.

`make faults` runs the long form of the same.
"""

from pathlib import Path

import pytest

from tests.faults.runs import Run, deleted, kill_cycles, locked, under_load

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]


def assert_nothing_lost(run: Run) -> None:
    assert run.verdict.broken == [], run.verdict
    assert run.verdict.complete > 100
    assert run.health["ledger_lost"] == 0
    assert run.health["ledger_parked"] == 0


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    run = kill_cycles(tmp_path, cycles=10)
    assert_nothing_lost(run)
    assert run.verdict.outcomes["interrupted"] > 0


def test_a_locked_database_stops_no_traffic(tmp_path: Path) -> None:
    run = under_load(tmp_path, locked)
    assert_nothing_lost(run)
    assert run.failures == 0
    assert run.during > run.before / 3


def test_a_deleted_database_comes_back_from_the_spool(tmp_path: Path) -> None:
    run = under_load(tmp_path, deleted, seconds=3)
    assert_nothing_lost(run)
    assert run.failures == 0


def test_without_the_spool_the_harness_finds_requests_without_a_row(tmp_path: Path) -> None:
    assert "I3" in kill_cycles(tmp_path, cycles=2, control="no-spool").verdict.broken


def test_without_the_conflict_rule_the_harness_finds_requests_counted_twice(tmp_path: Path) -> None:
    assert "I6" in kill_cycles(tmp_path, cycles=2, control="no-conflict").verdict.broken
