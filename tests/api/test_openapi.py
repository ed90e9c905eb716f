"""`GET /api/openapi.json`: a document that holds together, and that the answers keep."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.serving import Lectr
from tests.api.test_guard import OURS

METHODS = {"get", "post", "put", "delete", "patch", "head", "options"}


@pytest.fixture(scope="module")
def document(lectr: Lectr) -> dict[str, Any]:
    return dict(lectr.json("/api/openapi.json"))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield method, path, operation


def every(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if name in node:
            yield node[name]
        for child in node.values():
            yield from every(child, name)
    elif isinstance(node, list):
        for child in node:
            yield from every(child, name)


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any, place: str = "$") -> list[str]:
    """What of a value does not fit a schema, as far as this document's schemas go."""
    schema = resolve(document, schema)
    if "oneOf" in schema:
        tried = [fits(document, one, value, place) for one in schema["oneOf"]]
        return [] if any(not faults for faults in tried) else min(tried, key=len)
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    kind = schema.get("type")
    if kind == "null":
        return [] if value is None else [f"{place}: {value!r} is not null"]
    if kind is not None and (not isinstance(value, kinds[kind]) or (kind != "boolean" and isinstance(value, bool))):
        return [f"{place}: {value!r} is no {kind}"]
    faults = []
    if isinstance(value, list):
        faults = [
            fault for n, one in enumerate(value) for fault in fits(document, schema["items"], one, f"{place}[{n}]")
        ]
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        faults = [f"{place}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, one in value.items():
            if name in known:
                faults += fits(document, known[name], one, f"{place}.{name}")
            elif "properties" in schema:
                faults.append(f"{place}: {name} is not in the document")
    return faults


def test_it_is_openapi_and_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(document["info"]) >= {"title", "version"}
    named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(every(document, "$ref")) == named
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for _, path, operation in operations(document):
        written = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert written == declared
        assert all(response["description"] for response in operation["responses"].values())
        assert operation["description"]


def test_it_has_every_route_and_nothing_of_the_console(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == {
        ("get", "/health"),
        ("get", "/api/requests"),
        ("get", "/api/requests/{request_id}"),
        ("get", "/api/detect"),
        ("get", "/api/models"),
        ("get", "/api/models/{model_id}"),
        ("get", "/api/recommendations"),
        ("get", "/api/recommendations/{recommendation_id}"),
        ("post", "/api/recommendations/{recommendation_id}/accept"),
        ("post", "/api/recommendations/{recommendation_id}/dismiss"),
        ("get", "/api/overrides"),
        ("post", "/api/overrides"),
        ("delete", "/api/overrides/{override_id}"),
        ("get", "/api/self-check"),
        ("get", "/api/usage"),
    }


def test_every_route_but_health_asks_for_the_token(document: dict[str, Any]) -> None:
    [name] = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][name]["scheme"] == "bearer"
    assert document["security"] == [{name: []}]
    for _, path, operation in operations(document):
        assert operation.get("security") == ([{}] if path == "/health" else None)
        assert ("401" in operation["responses"]) == (path != "/health")


@pytest.mark.parametrize("path", [path for path in OURS if "019c" not in path and "=csv" not in path])
def test_answers_are_what_the_document_says(lectr: Lectr, document: dict[str, Any], path: str) -> None:
    if path == "/api/openapi.json":
        return
    route = {"/api/models/gpt-4o": "/api/models/{model_id}"}.get(path, path.partition("?")[0])
    responses = document["paths"][route]["get"]["responses"]
    schema = responses["200"]["content"]["application/json"]["schema"]
    assert fits(document, schema, lectr.json(path)) == []
    refused = lectr.admin.get(path + ("&" if "?" in path else "?") + "nothing=1")
    assert fits(document, responses["400"]["content"]["application/json"]["schema"], refused.json()) == []


def test_a_false_answer_would_be_seen(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ErrorAnswer"}
    assert fits(document, schema, {"error": {"message": 1, "type": "", "code": ""}}) != []
    assert fits(document, schema, {"error": {"message": "", "type": "", "code": "", "more": 1}}) != []
    assert fits(document, schema, {}) != []
