"""docs/api.md says what the OpenAPI document says: every route, parameter, error and field, and none more."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.api.failures import error_response
from tests.api.serving import Lectr
from tests.api.test_exports import COLUMNS
from tests.api.test_openapi import fits, operations
from tests.house.files import ROOT

TEXT = (ROOT / "docs" / "api.md").read_text()
SECTIONS = {
    (method.lower(), path): body
    for method, path, body in re.findall(r"^## `([A-Z]+) (\S+)`\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
}
NO_ADMIN_ERROR = "Errors: none."

each_route = pytest.mark.parametrize("route", SECTIONS, ids=lambda route: " ".join(route))
Route = tuple[str, str]


@pytest.fixture(scope="module")
def document(lectr: Lectr) -> dict[str, Any]:
    return dict(lectr.json("/api/openapi.json"))


def examples(section: str, kind: str) -> Iterator[Any]:
    """The JSON blocks of a section: `json` for answers, `json body` for what is sent."""
    for block in re.findall(rf"^```{kind}\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        yield json.loads(block)


def wrong(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What of an example does not fit; it may leave fields away."""
    return [fault for fault in fits(document, schema, value) if not fault.endswith("is missing")]


def test_every_route_has_its_section(document: dict[str, Any]) -> None:
    assert set(SECTIONS) == {(method, path) for method, path, _ in operations(document)}


@each_route
def test_its_parameters_are_told(document: dict[str, Any], route: Route) -> None:
    operation = document["paths"][route[1]][route[0]]
    told = re.findall(r"^\| `(\w+)` \|", SECTIONS[route], re.MULTILINE)
    assert told == [parameter["name"] for parameter in operation.get("parameters", ())]


@each_route
def test_its_errors_are_told(document: dict[str, Any], route: Route) -> None:
    responses = document["paths"][route[1]][route[0]]["responses"]
    errors = sorted(status for status in responses if status >= "400")
    [told] = re.findall(r"^Errors: .*$", SECTIONS[route], re.MULTILINE)
    assert told == (f"Errors: {', '.join(errors)}." if errors else NO_ADMIN_ERROR)


@each_route
def test_its_answer_is_as_in_the_example(document: dict[str, Any], route: Route) -> None:
    responses = document["paths"][route[1]][route[0]]["responses"]
    [good] = [status for status in responses if status < "400"]
    shown = list(examples(SECTIONS[route], "json"))
    assert bool(shown) == ("content" in responses[good])
    for example in shown:
        schema = responses[good]["content"]["application/json"]["schema"]
        assert wrong(document, schema, example) == []


@each_route
def test_its_body_is_as_in_the_example(document: dict[str, Any], route: Route) -> None:
    operation = document["paths"][route[1]][route[0]]
    shown = list(examples(SECTIONS[route], "json body"))
    assert bool(shown) == ("requestBody" in operation)
    for example in shown:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert wrong(document, schema, example) == []


def test_the_row_is_shown_whole() -> None:
    [example] = examples(SECTIONS["get", "/api/requests"], "json")
    assert [list(row) for row in example["requests"]] == [COLUMNS]


def test_the_sums_are_shown_whole(lectr: Lectr) -> None:
    [example] = examples(SECTIONS["get", "/api/usage"], "json")
    assert list(example["rows"][0]) == list(lectr.json("/api/usage", by="model")["rows"][0])
    assert set(example["total"]) <= set(lectr.json("/api/usage")["total"])


def test_health_and_self_check_show_counters_that_are_there(lectr: Lectr) -> None:
    for path in ("/health", "/api/self-check"):
        [example] = examples(SECTIONS["get", path], "json")
        assert set(example) <= set(lectr.json(path))


def test_the_error_shown_is_the_one_that_comes(lectr: Lectr) -> None:
    [example] = examples(TEXT, "json error")
    assert lectr.get("/api/requests", limit=0).json() == example


def test_the_overrides_shown_can_be_made(changing: Lectr) -> None:
    for body in examples(SECTIONS["post", "/api/overrides"], "json body"):
        answer = changing.admin.post("/api/overrides", json=body)
        assert answer.status_code == 201, answer.text
        assert changing.admin.delete(f"/api/overrides/{answer.json()['id']}").status_code == 204


def test_the_codes_of_errors_are_those_that_come() -> None:
    told = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert len(told) == 6
    for status, code in told:
        assert json.loads(error_response(int(status), "").content)["error"]["code"] == code


def test_a_field_that_is_not_there_would_be_seen(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Override"}
    assert wrong(document, schema, {"id": 1, "colour": "blue"}) != []
    assert wrong(document, schema, {"id": "one"}) != []
