"""What every test may ask for, the rule that CI skips no test for want of a tool, and the sweep for secrets."""

import os
import shutil
from collections.abc import Callable, Generator

import pytest

from tests.canaries import shows, sweep

TOOL_MARKERS = ("browser", "nginx", "postgres")
REQUIRE_TOOLS = os.environ.get("LECTR_REQUIRE_TOOLS") == "1"
DEBIAN_PACKAGES = {"chromium": "chromium", "nginx": "nginx-light", "wrk": "wrk"}


def find_tool(name: str) -> str | None:
    """Path of a program, also from /usr/sbin, which a plain user's PATH leaves out; None where it is missing."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Call it with a program's name: its path, or a skip that says what to install (in CI, a failure)."""

    def path_of(name: str) -> str:
        path = find_tool(name)
        if path is None:
            pytest.skip(f"{name} is missing: install {DEBIAN_PACKAGES.get(name, name)}")
        return path

    return path_of


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    needs_tool = any(item.get_closest_marker(name) for name in TOOL_MARKERS)
    if REQUIRE_TOOLS and needs_tool and report.skipped and not hasattr(report, "wasxfail"):
        reason = call.excinfo.value if call.excinfo else "unknown reason"
        report.outcome = "failed"
        report.longrepr = f"LECTR_REQUIRE_TOOLS=1 forbids this skip: {reason}"
    return report


_SHOWN: list[str] = []
"""Tests whose output, or whose Lectr's log, had a piece of a canary in it."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A test that fails shows its own variables; what passes has said only what Lectr says.
    if report.passed and any(shows(text.encode("utf-8", "replace")) for _, text in report.sections):
        _SHOWN.append(f"{report.nodeid} ({report.when}) says a canary")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Sweep what all suites left on the disk: databases, spools, logs, copies. A hit fails the run."""
    folder = getattr(getattr(session.config, "_tmp_path_factory", None), "_basetemp", None)
    found = [*_SHOWN, *(f"{name} holds a canary" for name in (sweep(folder) if folder else ()))]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if found and reporter is not None:
        reporter.write_line("")
        for told in found[:40]:
            reporter.write_line(f"CANARY {told}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
