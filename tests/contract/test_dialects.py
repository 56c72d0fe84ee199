"""Every dialect keeps what its examples promise, and declares itself completely."""

import asyncio
import json
from typing import get_args

import msgspec
import pytest

import dialects
from dialects.base import Dialect, Endpoint
from schemas.event import EventType
from schemas.settings import Settings
from stores.migrations import migrate_registry
from stores.registry import open_registry
from stores.registry.demo import seed_demo
from tests.contract import dialect_http, dialect_pure
from tests.contract.dialect_examples import ROOT, Example, check, load

EXAMPLES = load()
ENDPOINTS = [endpoint for dialect in dialects.discover() for endpoint in dialect.endpoints]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A registry with the demo's tenant, tokens and products."""
    settings = Settings(home=str(tmp_path_factory.mktemp("demo")))

    async def seed() -> None:
        await migrate_registry(settings)
        async with open_registry(settings) as registry:
            await seed_demo(registry)

    asyncio.run(seed())
    return settings


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_on_the_declaration_alone(example: Example) -> None:
    check(example, dialect_pure.perform(example))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.problem is None], ids=str)
async def test_example_through_the_gateway(example: Example, demo: Settings) -> None:
    check(example, await dialect_http.perform(example, demo))


def test_the_four_protocols_are_found() -> None:
    assert [dialect.name for dialect in dialects.discover()] == ["alana", "redo", "relo", "tracker"]


def test_an_endpoint_is_found_by_name() -> None:
    found = dialects.endpoint("redo", "bulk")
    assert found is not None
    assert found.path == "/v2.2/stores/{store}/events/bulk"
    assert dialects.endpoint("redo", "nothing") is None
    assert dialects.endpoint("nothing", "bulk") is None


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.path}")
def test_every_endpoint_has_an_openapi_schema(endpoint: Endpoint) -> None:
    bodies = [answer.body for answer in endpoint.answers if answer.body is not None]
    schemas, _ = msgspec.json.schema_components([endpoint.wire, *bodies])
    assert all(schemas)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.path}")
def test_every_status_that_an_example_shows_is_documented(endpoint: Endpoint) -> None:
    shown = {e.expected["status"] for e in EXAMPLES if dialect_pure.route(e)[0] is endpoint}
    assert shown <= {answer.status for answer in endpoint.answers}
    assert shown & {200, 201, 202}


@pytest.mark.parametrize("dialect", dialects.discover(), ids=lambda d: d.name)
def test_every_event_type_is_shown_and_documented(dialect: Dialect) -> None:
    readme = (ROOT / dialect.name / "README.md").read_text()
    vocabulary = set(get_args(EventType))
    for name, event_type in dialect.event_types:
        assert event_type in vocabulary
        assert name in readme
        assert f"`{event_type}`" in readme
    expected = [
        event for e in EXAMPLES if e.dialect == dialect.name for event in e.expected.get("events", [])
    ]
    shown = {event.get("event_type") for event in expected}
    assert {event_type for _, event_type in dialect.event_types} <= shown


def test_rate_groups_that_share_a_name_share_their_limit() -> None:
    groups: dict[str, set[object]] = {}
    for endpoint in ENDPOINTS:
        for rate in endpoint.rates:
            groups.setdefault(rate.group, set()).add(rate)
    assert all(len(rates) == 1 for rates in groups.values())


def test_no_two_endpoints_share_a_path() -> None:
    paths = [endpoint.path for endpoint in ENDPOINTS]
    assert len(set(paths)) == len(paths)


def test_examples_say_what_they_show() -> None:
    for example in EXAMPLES:
        assert example.about.endswith("."), str(example)
        json.dumps(example.expected)
