"""The description of the API is complete, and its page shows all of it."""

import json
import re
from typing import Any

import pytest

import dialects
from gateway.openapi import document
from tests.unit.gateway.rig import Rig

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(dialects.discover(), version="1.2.3")))
ENDPOINTS = [(d, e) for d in dialects.discover() for e in d.endpoints]


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for member in value.values() for found in references(member)]
    if isinstance(value, list):
        return [found for member in value for found in references(member)]
    return []


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize(("dialect", "endpoint"), ENDPOINTS, ids=lambda x: getattr(x, "name", ""))
def test_every_endpoint_is_described(dialect: Any, endpoint: Any) -> None:
    operation = DOCUMENT["paths"][endpoint.path]["post"]
    assert operation["operationId"] == f"{dialect.name}_{endpoint.name}"
    assert operation["summary"] == endpoint.summary
    assert {str(a.status) for a in endpoint.answers} <= operation["responses"].keys()
    assert "429" in operation["responses"]
    content = operation["requestBody"]["content"]
    assert ("text/plain" in content) is endpoint.browser
    assert content["application/json"]["examples"]
    required = {p["name"] for p in operation["parameters"] if p["required"]}
    assert required == set(re.findall(r"{(\w+)}", endpoint.path))


def test_operations_have_names_of_their_own() -> None:
    names = [op["operationId"] for verbs in DOCUMENT["paths"].values() for op in verbs.values()]
    assert len(set(names)) == len(names)


def test_credentials_are_described() -> None:
    def schemes(path: str) -> list[set[str]]:
        return [set(one) for one in DOCUMENT["paths"][path]["post"]["security"]]

    assert schemes("/ingest/batch") == [{"bearer"}]
    assert schemes("/api/v1/events") == [{"apiKeyHeader"}, {"apiKeyQuery"}]
    assert schemes("/api/v1/analytics/track") == []
    assert DOCUMENT["components"]["securitySchemes"].keys() == {"bearer", "apiKeyHeader", "apiKeyQuery"}


def test_bounds_of_a_batch_are_described() -> None:
    schema = DOCUMENT["paths"]["/ingest/batch"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert schema["properties"]["events"]["maxItems"] == 10_000


def test_a_route_that_swallows_failures_promises_no_503() -> None:
    assert "503" not in DOCUMENT["paths"]["/api/v1/analytics/conversion"]["post"]["responses"]


async def test_it_is_served_and_so_is_its_page() -> None:
    rig = Rig()
    served = await rig.ask("/openapi.json", method="GET")
    assert served.json["info"]["title"] == "Penstock"
    assert served.headers["access-control-allow-origin"] == "*"
    page = await rig.ask("/docs/", method="GET")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    # It needs nothing from elsewhere, and never takes text for markup.
    assert not re.search(rb"(src|href)=[\"']https?://", page.body)
    assert b"innerHTML" not in page.body
