"""Public endpoints: whose event it is, what is stored of one that nobody answers for, and outages."""

from typing import Any

import pytest

from gateway.limits import STORED_REJECTS
from stores.registry import demo
from tests.unit.gateway.rig import CONVERSION, INTERACTIONS, JSON, TRACK, Rig

UNKNOWN_UUID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def track(tenant: str = demo.TENANT_SLUG, **more: Any) -> dict[str, Any]:
    return {"tenant_id": tenant, "type": "call", **more}


def click(tenant: int = 1, **more: Any) -> dict[str, Any]:
    return {"tenant_id": tenant, "type": "view", **more}


@pytest.mark.parametrize("tenant", ["1", demo.TENANT_UUID, demo.TENANT_SLUG])
async def test_a_tenant_has_several_names_and_one_number(rig: Rig, tenant: str) -> None:
    answer = await rig.ask(TRACK, track(tenant, product_id=101), JSON)
    assert answer.status == 202
    assert (rig.accepted[0].tenant, rig.accepted[0].flags) == (1, ())


@pytest.mark.parametrize(("tenant", "number"), [("nobody", 0), (UNKNOWN_UUID, 0), ("99", 0), ("closed", 2)])
async def test_an_unknown_or_closed_tenants_event_is_rejected(rig: Rig, tenant: str, number: int) -> None:
    answer = await rig.ask(TRACK, track(tenant), JSON)
    assert (answer.status, answer.json["success"]) == (404, False)
    assert [(r.code, r.tenant) for r in rig.rejected] == [("tenant_not_found", number)]
    assert not rig.accepted


@pytest.mark.parametrize(("length", "asked"), [(63, 1), (64, 0), (255, 0)])
async def test_a_name_longer_than_any_tenants_is_not_looked_up(rig: Rig, length: int, asked: int) -> None:
    """So that strangers can't fill the memory of unknown tenants with names as long as they like."""
    for path in (TRACK, CONVERSION):
        sent = track("n" * length) if path == TRACK else {"tenant_slug": "m" * length}
        before = rig.registry.asked
        answer = await rig.ask(path, sent, JSON)
        assert answer.status == (404 if path == TRACK else 200)
        assert rig.registry.asked == before + asked
    assert [r.code for r in rig.rejected] == ["tenant_not_found"] * 2


async def test_anothers_product_is_rejected(rig: Rig) -> None:
    answer = await rig.ask(TRACK, track(product_id=999), JSON)
    assert answer.status == 422
    assert "product_id" in answer.json["errors"]
    assert [(r.code, r.pointer, r.tenant) for r in rig.rejected] == [("product_not_found", "product_id", 1)]


async def test_shape_comes_first_then_tenant_then_product(rig: Rig) -> None:
    assert (await rig.ask(TRACK, track("nobody", type="x", product_id=999), JSON)).status == 422
    assert rig.registry.asked == 0
    assert (await rig.ask(TRACK, track("nobody", product_id=999), JSON)).status == 404
    assert (await rig.ask(TRACK, track(product_id=999), JSON)).status == 422


async def test_interactions_tell_strangers_little(rig: Rig) -> None:
    assert (await rig.ask(INTERACTIONS, click(), JSON)).status == 201
    for tenant in (2, 99):
        answer = await rig.ask(INTERACTIONS, click(tenant), JSON)
        assert (answer.status, answer.json) == (202, {"status": "accepted"})
    assert [r.code for r in rig.rejected] == ["tenant_not_found"] * 2
    assert rig.measured("requests_swallowed_total", code="tenant_not_found") == 2
    assert rig.measured("events_accepted_total") == 1


async def test_under_the_setting_all_interactions_look_alike() -> None:
    rig = Rig(tracker_uniform_status=True)
    answers = [await rig.ask(INTERACTIONS, click(tenant), JSON) for tenant in (1, 99)]
    assert [(a.status, a.body) for a in answers] == [(202, b'{"status":"accepted"}')] * 2
    assert len(rig.accepted) == len(rig.rejected) == 1


async def test_known_tenants_are_counted_apart_and_unknown_ones_together(rig: Rig) -> None:
    async def passed(tenant: int, client: str) -> int:
        for count in range(100):
            if (await rig.ask(INTERACTIONS, click(tenant), JSON, client=client)).status == 429:
                return count
        return 100

    assert await passed(1, "198.51.100.1") == 60
    assert await passed(50, "198.51.100.2") == 60
    assert await passed(51, "198.51.100.2") == 0


@pytest.mark.parametrize(("path", "body"), [(TRACK, track()), (CONVERSION, {"tenant_slug": "mi-negocio"})])
async def test_the_api_group_is_shared_per_address(rig: Rig, path: str, body: Any) -> None:
    for _ in range(30):
        await rig.ask(TRACK, track(), JSON)
        await rig.ask(CONVERSION, {"tenant_slug": "mi-negocio"}, JSON)
    answer = await rig.ask(path, body, JSON)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await rig.ask(path, body, JSON, client="198.51.100.1")).status in {200, 202}


async def test_rejects_that_nobody_answers_for_are_not_all_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    sent = 0
    # Three addresses within one /64 are one sender; the limits of the dialect count them so, too.
    for _ in range(60):
        for path, body in ((TRACK, {"type": "x"}), (INTERACTIONS, {"type": "x"})):
            assert (await rig.ask(path, body, JSON)).status == 422
            sent += 1
    assert sent > STORED_REJECTS
    assert len(rig.rejected) == STORED_REJECTS
    assert rig.measured("events_rejected_total") == sent
    assert rig.measured("events_rejected_not_stored_total") == sent - STORED_REJECTS


ANYTHING = [
    b"",
    b"{",
    b"\xff",
    b"[" * 100_000,
    b"null",
    b"[]",
    b"{}",
    b'{"tenant_slug":"nobody"}',
    b'{"tenant_slug":7,"transaction_id":{"a":1}}',
    b'{"tenant_slug":"mi-negocio","x":"\\u0000"}',
    b'{"tenant_slug":"mi-negocio","x":18446744073709551616}',
    b'{"tenant_slug":"mi-negocio","x":"' + b"a" * 70_000 + b'"}',
]


@pytest.mark.parametrize("body", ANYTHING, ids=lambda b: repr(b[:30]))
@pytest.mark.parametrize(
    "headers", [JSON, {"content-type": "image/png"}, {**JSON, "content-encoding": "gzip"}, {}]
)
async def test_a_conversion_is_always_answered_200(rig: Rig, body: bytes, headers: dict[str, str]) -> None:
    answer = await rig.ask(CONVERSION, body, headers)
    assert (answer.status, answer.json["status"]) == (200, "skipped")
    assert not rig.accepted
    assert rig.measured("requests_swallowed_total") == 1


async def test_a_conversion_echoes_its_id_out_of_a_body_that_is_too_large(rig: Rig) -> None:
    sent = b'{"transaction_id":"t-1","tenant_slug":"mi-negocio","pad":"' + b"x" * 70_000 + b'"}'
    answer = await rig.ask(CONVERSION, sent, JSON)
    assert answer.json == {"status": "skipped", "transaction_id": "t-1"}
    answer = await rig.ask(CONVERSION, sent[:40] + b'"}', {"content-type": "text/html"})
    assert answer.json == {"status": "skipped", "transaction_id": "t-1"}


async def test_failures_of_ours_are_swallowed_where_the_protocol_says_so(rig: Rig) -> None:
    await rig.ask(TRACK, track(), JSON)
    rig.bus.down = True
    conversion = await rig.ask(CONVERSION, {"tenant_slug": "mi-negocio", "transaction_id": "t-1"}, JSON)
    assert (conversion.status, conversion.json["status"]) == (200, "skipped")
    interaction = await rig.ask(INTERACTIONS, click(), JSON)
    assert (interaction.status, interaction.json["status"]) == (202, "accepted")
    tracked = await rig.ask(TRACK, track(), JSON)
    assert (tracked.status, tracked.code) == (503, "unavailable")
    for answer in (conversion, interaction):
        assert "retry-after" not in answer.headers
    assert rig.measured("requests_swallowed_total", code="unavailable") == 2
    assert rig.measured("events_accepted_total") == 1


async def test_while_the_registry_is_down_a_number_is_taken_and_flagged(rig: Rig) -> None:
    rig.registry.down = True
    assert (await rig.ask(TRACK, track("7", product_id=5), JSON)).status == 202
    assert (await rig.ask(INTERACTIONS, click(8), JSON)).status == 201
    found = {e.tenant: set(e.flags) for e in rig.accepted}
    assert found == {tenant: {"tenant_unverified", "product_unverified"} for tenant in (7, 8)}
    assert rig.measured("events_unverified_total") == 2


async def test_while_the_registry_is_down_a_name_is_not(rig: Rig) -> None:
    rig.registry.down = True
    for tenant in (demo.TENANT_SLUG, demo.TENANT_UUID):
        answer = await rig.ask(TRACK, track(tenant), JSON)
        assert (answer.status, answer.code) == (503, "unavailable")
    conversion = await rig.ask(CONVERSION, {"tenant_slug": "mi-negocio", "transaction_id": 5}, JSON)
    assert conversion.json == {"status": "skipped", "transaction_id": 5}
    assert not rig.accepted


async def test_a_remembered_tenant_is_enough_but_its_products_are_flagged(rig: Rig) -> None:
    await rig.ask(TRACK, track(product_id=101), JSON)
    rig.registry.down = True
    assert (await rig.ask(TRACK, track(product_id=101), JSON)).status == 202
    assert (await rig.ask(TRACK, track(product_id=102), JSON)).status == 202
    assert sorted(e.flags for e in rig.accepted) == [(), (), ("product_unverified",)]
