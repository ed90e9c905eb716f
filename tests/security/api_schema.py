"""Requests that schemathesis makes from /api/openapi.json, right and wrong ones, and what the answers must keep."""

import contextlib
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks

from tests.security.corpus import SEED

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
"""`negative_data_rejection` is for bodies only: in a query a wrong array of one text and that text are the same."""


def attack(url: str, token: str, examples: int) -> tuple[Counter[str], list[str]]:
    """Send `examples` of each kind to each operation; how many got which status, and what did not hold."""
    authorised = {"authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", headers=authorised)
    sent: Counter[str] = Counter()
    problems: list[str] = []
    for result in schema.get_all_operations():
        operation: Any = result.ok() if isinstance(result, Ok) else pytest.fail(str(result.err()))
        for mode in GenerationMode:
            _each(operation, mode, url, authorised, examples, sent, problems)
    return sent, problems


def _each(
    operation: Any,
    mode: GenerationMode,
    url: str,
    headers: dict[str, str],
    examples: int,
    sent: Counter[str],
    problems: list[str],
) -> None:
    @seed(SEED)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        if len(problems) > 200:
            return
        answer = case.call(base_url=url, headers=headers, timeout=20)
        sent[f"{operation.label} {answer.status_code}"] += 1
        try:
            of_body = [openapi_checks.negative_data_rejection] if operation.body else []
            case.validate_response(answer, checks=[*CHECKS, *of_body])
        except FailureGroup as group:
            problems.extend(
                f"{operation.label} {mode.value}: {found} {case.as_curl_command()[-300:]}" for found in group.exceptions
            )

    # What takes no parameter cannot be asked wrongly.
    with contextlib.suppress(Unsatisfiable):
        attempt()
