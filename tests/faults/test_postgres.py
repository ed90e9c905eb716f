"""The quick gate on PostgreSQL: kill -9 and a broken server lose nothing, double nothing and stop nobody."""

from pathlib import Path

import pytest

from tests.faults.database_faults import Fault
from tests.faults.postgres_faults import no_connections, own_database, read_only_server, restarted
from tests.faults.runs import kill_cycles, under_load
from tests.faults.test_gate import assert_nothing_lost

pytestmark = [pytest.mark.faults, pytest.mark.postgres, pytest.mark.timeout(240)]


def test_f10_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    run = kill_cycles(tmp_path, cycles=3, database=own_database())
    assert_nothing_lost(run)
    assert run.verdict.complete > 30
    assert run.verdict.outcomes["interrupted"] > 0


@pytest.mark.parametrize("fault", [restarted, no_connections, read_only_server])
def test_f14_and_f18_a_broken_server_stops_no_traffic(tmp_path: Path, fault: Fault) -> None:
    run = under_load(tmp_path, fault, seconds=2, database=own_database())
    assert_nothing_lost(run)
    assert run.during > run.before / 3
