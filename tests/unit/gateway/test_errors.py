"""The table of reasons."""

import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import REASONS, Reason

HOUSE = Path(gateway.__file__).parent
SOURCES = {path.name: path.read_text() for path in HOUSE.glob("*.py")}


@pytest.mark.parametrize("reason", REASONS, ids=lambda r: r.code)
def test_a_reason_is_worded_completely(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", reason.code)
    assert 400 <= reason.status <= 503
    assert reason.message.endswith(".")
    assert (reason.status == 503) == (reason.wait_s is not None)


def test_every_reason_is_used() -> None:
    names = re.findall(r"^([A-Z0-9_]+) = Reason\(", SOURCES["errors.py"], re.MULTILINE)
    assert len(names) == len(REASONS)
    for name in names:
        assert any(
            re.search(rf"\b{name}\b", text) for file, text in SOURCES.items() if file != "errors.py"
        ), name


def test_a_code_means_one_status_but_for_what_is_written_down() -> None:
    statuses: dict[str, set[int]] = {}
    for reason in REASONS:
        statuses.setdefault(reason.code, set()).add(reason.status)
    assert all(len(found) == 1 for found in statuses.values())


def test_facts_are_told() -> None:
    reason = next(r for r in REASONS if r.code == "too_many_events")
    refused = reason.refuse(limit=10, field="events")
    assert refused.problem.message == "A request may have 10 events; split it into several."
    assert refused.problem.field == "events"
