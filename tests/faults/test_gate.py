"""The quick gate: no row is lost or doubled by kill -9, failing databases, leaving clients or ends, and the harness
can tell. `make faults` runs the long forms.
"""

import shutil
from pathlib import Path

import pytest

from app.ledger.schema import REVISIONS
from tests.faults.client_runs import hang_ups, shutdown
from tests.faults.database_faults import corrupted, deleted, locked
from tests.faults.disk_runs import disk_errors
from tests.faults.migration_runs import migration
from tests.faults.power_loss import power_loss
from tests.faults.process_runs import blocked_log, jumping_clock, two_processes, worker_killed
from tests.faults.runs import READY_P99_S, Run, damaged_starts, kill_cycles, under_load
from tests.faults.slow_database import slow
from tests.faults.version_runs import versions

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

BUSY = 4
"""How much slower than its bar a machine may be that does other things beside."""


def assert_nothing_lost(run: Run) -> None:
    assert run.verdict.broken == [], run.verdict
    assert run.health["ledger_lost"] == 0
    assert run.health["ledger_parked"] == 0
    assert run.failures == 0, run


def test_f10_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    run = kill_cycles(tmp_path, cycles=10)
    assert_nothing_lost(run)
    assert run.verdict.complete > 100
    assert run.verdict.outcomes["interrupted"] > 0
    assert run.ready_p99_s < READY_P99_S * BUSY


def test_f13_a_locked_database_stops_no_traffic(tmp_path: Path) -> None:
    run = under_load(tmp_path, locked, seconds=2)
    assert_nothing_lost(run)
    assert run.during > run.before / 3


def test_f16_a_deleted_database_comes_back_from_the_spool(tmp_path: Path) -> None:
    assert_nothing_lost(under_load(tmp_path, deleted, seconds=2))


def test_f15_a_database_damaged_under_load_is_replaced_and_comes_back(tmp_path: Path) -> None:
    assert_nothing_lost(under_load(tmp_path, corrupted, seconds=2, control="hurried"))


def test_f15_a_database_damaged_at_rest_costs_no_key_and_no_row(tmp_path: Path) -> None:
    run = damaged_starts(tmp_path, range(3))
    assert_nothing_lost(run)
    assert run.notes["replaced"] > 0


def test_f25_two_processes_on_one_file_lose_and_double_nothing(tmp_path: Path) -> None:
    assert_nothing_lost(two_processes(tmp_path, seconds=4))


def test_f17_a_database_that_takes_five_seconds_for_a_statement_delays_nobody(tmp_path: Path) -> None:
    run = under_load(tmp_path, slow, seconds=2, control="slow-driver")
    assert_nothing_lost(run)
    assert run.during > run.before / 3


def test_f24_a_killed_worker_costs_its_own_requests_alone(tmp_path: Path) -> None:
    assert_nothing_lost(worker_killed(tmp_path, kills=1))


def test_f26_a_migration_that_is_killed_under_load_costs_nothing(tmp_path: Path) -> None:
    run = migration(tmp_path, kills=2, clients=4)
    assert_nothing_lost(run)
    assert run.notes["killed"] == 2


def test_f27_versions_take_turns_on_one_ledger_and_its_spool(tmp_path: Path) -> None:
    assert_nothing_lost(versions(tmp_path, begins=REVISIONS[:1]))


def test_f09_the_provider_hears_soon_of_a_client_that_hangs_up(tmp_path: Path) -> None:
    run = hang_ups(tmp_path, 150)
    assert_nothing_lost(run)
    assert run.notes["closed_p99_ms"] < 250 * BUSY


def test_f11_a_shutdown_cuts_no_stream_that_ends_in_time(tmp_path: Path) -> None:
    run = shutdown(tmp_path, live=30, stalled=30, drain_s=5.0)
    assert_nothing_lost(run)
    assert run.notes["exit"] == 0


def test_f19_and_f31_a_clock_that_jumps_and_a_log_that_nobody_reads_change_nothing(tmp_path: Path) -> None:
    assert_nothing_lost(jumping_clock(tmp_path / "clock", seconds=2))
    assert_nothing_lost(blocked_log(tmp_path / "log", seconds=2))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_f12_and_f29_a_disk_that_answers_with_errors_costs_no_row(tmp_path: Path) -> None:
    assert_nothing_lost(disk_errors(tmp_path, seconds=2))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_f28_a_loss_of_power_takes_nothing_that_the_disk_has_confirmed(tmp_path: Path) -> None:
    run = power_loss(tmp_path, cuts=6, seconds=1.0)
    assert run.verdict.broken == [], run.verdict
    assert run.failures == 0, run


def test_without_the_spool_the_harness_finds_requests_without_a_row(tmp_path: Path) -> None:
    assert "I3" in kill_cycles(tmp_path, cycles=2, control="no-spool").verdict.broken


def test_without_the_conflict_rule_the_harness_finds_requests_counted_twice(tmp_path: Path) -> None:
    assert "I6" in kill_cycles(tmp_path, cycles=2, control="no-conflict").verdict.broken


def test_a_gateway_that_gives_up_at_errors_is_found_out(tmp_path: Path) -> None:
    assert "I1" in under_load(tmp_path, locked, seconds=1, control="gives-up-at-once").verdict.broken


def test_a_gateway_that_does_not_drain_is_found_out(tmp_path: Path) -> None:
    assert shutdown(tmp_path, live=20, stalled=3, drain_s=4.0, control="no-drain").notes["cut"] > 0
