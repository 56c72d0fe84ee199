"""What the tests of replays share: a bad deploy, events of relo, and what became of them."""

from typing import Any

import pytest

from cli.commands.quarantine import rules
from console.admission import Admission
from console.letters import Choice, picked
from console.replay import Outcome, Replay
from dialects.base import MappingError, Refused
from schemas.topics import RAW
from tests.flow.whole import Whole
from workers.pipelines import events

BATCH = "/ingest/batch"


def deploy_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make relo's mapping refuse all, until `monkeypatch.undo()`."""

    def refuse(_: object) -> None:
        raise MappingError(Refused("planted", "A planted fault.", "props"))

    monkeypatch.setitem(events._MAPPINGS, ("relo", "batch"), refuse)


def installed(count: int, **changes: object) -> dict[str, Any]:
    event = {"t": "install", "ts": 1_790_000_000_000, "cid": 3}
    return {"events": [{**event, "did": f"d{n}", **changes} for n in range(count)]}


async def replay(whole: Whole, *, dry_run: bool = False, **choice: Any) -> list[Outcome]:
    """Replay what `choice` picks, in this process."""
    work = Replay(whole.bus, whole.use.warehouse, Admission(whole.use.registry, rules()), dry_run=dry_run)
    places = await picked(whole.use.warehouse, Choice(**choice), limit=1000)
    return [outcome async for outcomes in work.run(places) for outcome in outcomes]


async def stored(whole: Whole) -> list[dict[str, Any]]:
    return await whole.query(
        "SELECT toString(event_id) AS id, subject, source, kp, replay_of, request_id, request_index, "
        "toUnixTimestamp64Milli(received_at) AS received_ms FROM events ORDER BY subject, ko"
    )


async def ends(whole: Whole) -> int:
    return sum(end for _, end in (await whole.bus.ends(RAW)).values())


def results(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.result, outcome.code) for outcome in outcomes]


async def died(whole: Whole) -> list[dict[str, Any]]:
    """All letters, by source."""
    return await whole.query(
        "SELECT *, toUnixTimestamp64Milli(received_at) AS received_ms FROM quarantine ORDER BY src_kp, src_ko"
    )
