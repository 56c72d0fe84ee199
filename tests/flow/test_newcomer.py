"""A newcomer clones the project, types `make run`, sends the samples, and sees the rows."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.contract.dialect_examples import Example, load
from tests.flow.newcomer import System, alive, borrow_packages, clone, make_run, press_ctrl_c, until

WORKERS = {"worker-events-1", "worker-quarantine-1", "worker-webhooks-1"}
PARTS = {"supervisor", "clickhouse", "gateway-1", "api", *WORKERS}
VISIBLE_S_MAX = 3.0
SAMPLES = [example for example in load() if "source" in example.name or example.name == "rejected_events"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    checkout = clone(tmp_path_factory.mktemp("clone"))
    borrow_packages(checkout)
    with make_run(checkout) as running:
        yield running


def send(system: System, sample: Example) -> httpx.Response:
    """Send a sample under a request id that names it."""
    return httpx.request(
        sample.method,
        system.url + sample.path,
        params=sample.query,
        headers={**sample.headers, "X-Request-Id": request_id(sample)},
        content=sample.body,
    )


def request_id(sample: Example) -> str:
    return f"{sample.dialect}.{sample.name}"


def counts(system: System, table: str) -> dict[str, int]:
    rows = system.query(f"select request_id, count() as n from {table} group by request_id")
    return {row["request_id"]: row["n"] for row in rows}


def wait_for(system: System, table: str, expected: dict[str, int]) -> float:
    """Wait until the table has these rows; returns how long that took, in seconds."""
    began = time.monotonic()
    while counts(system, table) != expected:
        assert time.monotonic() - began < 20, f"{counts(system, table)} instead of {expected}"
    return time.monotonic() - began


def test_every_part_runs_and_says_where(system: System) -> None:
    assert set(system.pids()) == PARTS
    assert all(alive(pid) for pid in system.pids().values())
    # The process that does the work, not one that waits for it.
    assert len(set(system.pids().values())) == len(PARTS)
    assert system.said().count("curl ") >= 4
    assert "penstock query" in system.said() or "-m cli query" in system.said()


def test_the_samples_become_rows(system: System) -> None:
    assert {sample.dialect for sample in SAMPLES} == {"relo", "alana", "redo", "tracker"}
    for sample in SAMPLES:
        assert send(system, sample).status_code == sample.expected["status"], sample
    stored = {request_id(s): len(s.expected.get("events", s.expected.get("envelopes", []))) for s in SAMPLES}
    rejected = {request_id(s): len(s.expected["rejected"]) for s in SAMPLES if s.expected.get("rejected")}
    assert rejected
    wait_for(system, "events", stored)
    wait_for(system, "quarantine", rejected)
    reasons = system.query("select distinct code, message from quarantine")
    assert reasons
    assert all(reason["code"] and reason["message"] for reason in reasons)


def test_an_event_is_visible_at_once(system: System) -> None:
    delays = []
    for n in range(3):
        sent_at = time.monotonic()
        body = {"events": [{"eventType": "home-page-view", "visitorId": f"at-once-{n}"}]}
        headers = {"x-api-key": "ak_dev"}
        assert httpx.post(system.url + "/api/v1/events", json=body, headers=headers).status_code == 200
        until(partial(system.query, f"select 1 from events where subject = 'at-once-{n}'"))
        delays.append(time.monotonic() - sent_at)
    # Three tries: the promise is about the system, not about what else this machine does.
    assert min(delays) < VISIBLE_S_MAX


def test_the_api_shows_a_tenant_its_own(system: System) -> None:
    answer = httpx.get(
        system.api + "/penstock/v1/events",
        params={"request_id": "relo.source_curl"},
        headers={"Authorization": "Bearer dev-admin-token"},
    )
    [event] = answer.json()["events"]
    assert event["event_type"] == "order_completed"
    assert httpx.get(system.url + "/penstock/v1/me").json()["message"].count(system.api.rpartition(":")[2])


@pytest.mark.parametrize("part", sorted(PARTS - {"supervisor"}))
def test_a_killed_part_comes_back(system: System, part: str) -> None:
    killed = system.pid(part)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: system.pid(part) not in (None, killed))
    assert system.process.poll() is None


def test_what_was_sent_while_parts_died_arrives(system: System) -> None:
    sample = next(sample for sample in SAMPLES if request_id(sample) == "alana.source_curl")
    until(system.serves)
    before = counts(system, "events")[request_id(sample)]
    for part in ("worker-events-1", "clickhouse"):
        killed = system.pid(part)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
    assert send(system, sample).status_code == 200
    until(system.serves)
    until(lambda: counts(system, "events")[request_id(sample)] == before + 1)


def test_ctrl_c_stops_everything_and_loses_nothing(system: System) -> None:
    sample = next(sample for sample in SAMPLES if request_id(sample) == "alana.source_curl")
    until(system.serves)
    before = counts(system, "events")[request_id(sample)]
    assert send(system, sample).status_code == 200
    pids = system.pids()
    press_ctrl_c(system)
    assert [name for name, pid in pids.items() if alive(pid)] == []
    assert list(system.run.glob("*.pid")) == []
    with make_run(system.checkout) as again:
        until(lambda: counts(again, "events")[request_id(sample)] == before + 1)
        pids = again.pids()
        assert set(pids) == PARTS
        os.kill(pids["supervisor"], signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids.values()))
        assert list(again.run.glob("*.pid")) == []
