"""Runs an example through the gateway: over HTTP, with the demo's registry and a bus in memory."""

from typing import Any

import httpx
from starlette.applications import Starlette

from bus.memory import MemoryBus, open_memory
from gateway.app import create_app
from schemas.envelope import decode_envelope, decode_rejected
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED
from stores.keys import MemoryKeys
from stores.registry import open_registry
from tests.contract.dialect_examples import Example, Outcome, as_parts
from tests.contract.dialect_pure import route


async def perform(example: Example, settings: Settings) -> Outcome:
    """Run one example against a gateway of its own, whose registry is under `settings.home`."""
    bus = open_memory(settings)
    async with open_registry(settings) as registry:
        app = create_app(settings, bus, registry, MemoryKeys())
        reply = await _send(app, example)
    envelopes = _envelopes(bus)
    events = [as_parts(route(example)[0].to_event(envelope)) for envelope in envelopes]
    assert all(event["raw"].encode() in example.body for event in events)
    return Outcome(
        status=reply.status_code,
        body=reply.content,
        headers=dict(reply.headers),
        envelopes=[as_parts(envelope) for envelope in envelopes],
        events=events,
        rejected=_rejected(bus),
    )


async def _send(app: Starlette, example: Example) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.request(
            example.method,
            example.path,
            params=example.query,
            headers=example.headers,
            content=example.body,
        )


def _envelopes(bus: MemoryBus) -> list[Any]:
    found = [decode_envelope(record.value) for log in bus.log.topic(RAW) for record in log]
    return sorted(found, key=lambda envelope: envelope.index)


def _rejected(bus: MemoryBus) -> list[dict[str, Any]]:
    found = [decode_rejected(record.value) for log in bus.log.topic(REJECTED) for record in log]
    found.sort(key=lambda rejected: rejected.index)
    return [{"index": r.index, "code": r.code, "pointer": r.pointer} for r in found]
