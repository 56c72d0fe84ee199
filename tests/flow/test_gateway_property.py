"""No body whatever gives a 5xx or an uncounted event, at any endpoint of any dialect."""

import asyncio
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.dialect_examples import load
from tests.unit.gateway.child import GROUPS, NO_LIMIT
from tests.unit.gateway.rig import (
    ALANA,
    ALANA_EVENTS,
    BATCH,
    CONVERSION,
    INTERACTIONS,
    JSON,
    REDO,
    REDO_BULK,
    REDO_EVENT,
    RELO,
    TRACK,
    Answer,
    Rig,
)

HEADERS = {
    BATCH: RELO,
    ALANA_EVENTS: ALANA,
    REDO_EVENT: REDO,
    REDO_BULK: REDO,
    TRACK: JSON,
    CONVERSION: JSON,
    INTERACTIONS: JSON,
}
BATCHES = {BATCH: 10_000, ALANA_EVENTS: 100, REDO_BULK: 100}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["\0", "\ud800", "2026-04-02T12:00:00Z", "USD", "mi-negocio", "1"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=15,
)
long_text = st.just("x" * 33_000)
seeds = [example.body for example in load() if len(example.body) < 5_000]
objects = [found for seed in seeds if isinstance(found := _parsed(seed), dict)]
events = [event for found in objects if isinstance(found.get("events"), list) for event in found["events"]]
addresses = (f"10.{i // 65536 % 256}.{i // 256 % 256}.{i % 256}" for i in itertools.count())


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A body that once was good, with a few bytes changed, cut out or put in."""
    body = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(body)


@st.composite
def mixed(draw: st.DrawFn) -> bytes:
    """A batch of good events and of anything."""
    chosen = st.one_of(st.sampled_from(events), values, long_text)
    return _dump({"events": draw(st.lists(chosen, max_size=12))})


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """An event with some of its fields replaced."""
    event = dict(draw(st.sampled_from([found for found in objects if found])))
    for name in draw(st.lists(st.sampled_from(sorted(event)), max_size=3)):
        event[name] = draw(st.one_of(values, long_text))
    return _dump(event)


def _dump(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


bodies = st.one_of(st.binary(max_size=200), values.map(_dump), spoilt(), mixed(), altered())


@dataclass(frozen=True)
class Counts:
    """What the bus has, and what the gateway says."""

    accepted: int
    rejected: int
    answered: float
    refused: float


class Driver:
    """One gateway for all bodies, without limits; every request comes from an address of its own."""

    def __init__(self) -> None:
        self.rig = Rig()
        tokens = self.rig.registry.tokens
        for hashed, token in tokens.items():
            tokens[hashed] = msgspec.structs.replace(token, limits=dict.fromkeys(GROUPS, NO_LIMIT))
        self.loop = asyncio.new_event_loop()

    def send(self, path: str, body: bytes, **headers: str) -> tuple[Answer, Counts, Counts]:
        before = self.counts()
        asked = self.rig.ask(path, body, {**HEADERS[path], **headers}, client=next(addresses))
        answer = self.loop.run_until_complete(asked)
        return answer, before, self.counts()

    def counts(self) -> Counts:
        rig = self.rig
        stored = {name: sum(map(len, rig.bus.log.topic(name))) for name in ("events.raw", "events.rejected")}
        assert rig.measured("events_accepted_total") == stored["events.raw"]
        assert rig.measured("events_rejected_total") == stored["events.rejected"]
        assert rig.operations.bodies.held_bytes == 0
        return Counts(
            stored["events.raw"],
            stored["events.rejected"],
            rig.measured("requests_total"),
            rig.measured("requests_refused_total"),
        )


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    # The bodies were of all kinds, or nothing was shown.
    counts = made.counts()
    assert min(counts.accepted, counts.rejected, counts.refused) > 5
    made.loop.close()


def check(path: str, body: bytes, answer: Answer, before: Counts, after: Counts) -> None:
    assert 200 <= answer.status < 500
    assert after.answered == before.answered + 1
    events = after.accepted - before.accepted + after.rejected - before.rejected
    if after.refused > before.refused:
        # As a whole, or the only event of a single route.
        assert after.accepted == before.accepted
        assert events == 0 or (path not in BATCHES and events == 1)
        if path == CONVERSION:
            assert answer.json["status"] == "skipped"
    else:
        assert answer.status in {200, 201, 202}
        assert events == (len(json.loads(body)["events"]) if path in BATCHES else 1)
    if path == BATCH and answer.status == 200:
        assert answer.json["accepted"] == after.accepted - before.accepted
        assert answer.json["rejected"] == after.rejected - before.rejected
    if answer.body:
        json.loads(answer.body)


@pytest.mark.parametrize("path", HEADERS)
@settings(max_examples=120, deadline=None)
@given(body=bodies)
def test_any_body(driver: Driver, path: str, body: bytes) -> None:
    check(path, body, *driver.send(path, body))


encoders: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "identity": bytes}


@pytest.mark.parametrize("path", [BATCH, CONVERSION])
@settings(max_examples=60, deadline=None)
@given(
    body=bodies,
    encoding=st.sampled_from(["gzip", "br", "zstd", "deflate", "identity", "nonsense", "gzip, gzip"]),
    really=st.sampled_from(sorted(encoders)),
    content_type=st.sampled_from(["application/json", "text/plain", "", "x/y"]),
)
def test_any_body_in_any_dress(
    driver: Driver, path: str, body: bytes, encoding: str, really: str, content_type: str
) -> None:
    sent = encoders[really](body)
    headers: dict[str, Any] = {"content-encoding": encoding, "content-type": content_type}
    check(path, body, *driver.send(path, sent, **headers))
