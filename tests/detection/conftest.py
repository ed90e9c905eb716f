"""Counts that belong in CI's output."""

import pytest

counted: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in counted:
        terminalreporter.write_line(line)
