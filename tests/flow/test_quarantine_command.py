"""The commands about the quarantine, as an operator uses them."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import RAW
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.replaying import BATCH, deploy_badly, ends, installed, stored
from tests.flow.whole import RELO, Whole, open_whole


@pytest.fixture
async def whole(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Whole]:
    async with open_whole(clickhouse, "quarantine_command", tmp_path) as opened:
        yield opened


@pytest.fixture
def bad_deploy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    deploy_badly(monkeypatch)
    return monkeypatch


async def test_as_an_operator(whole: Whole, bad_deploy: pytest.MonkeyPatch) -> None:
    """The commands: list by every option, show, try, replay, the summary and the exit status."""
    body = installed(3)
    body["events"][2]["cid"] = 9
    await whole.send(BATCH, body, RELO)
    await whole.settle()
    bad_deploy.undo()
    status, lines, _ = await whole.penstock("quarantine", "list", "--since", "5m", "--tenant", "1")
    assert (status, len(lines)) == (0, 3)
    assert "raw" not in lines[0]
    by_code: Mapping[str, Any] = {line["code"]: line for line in lines}
    event_id = by_code["cid_not_allowed"]["event_id"]
    status, [letter], _ = await whole.penstock("quarantine", "show", event_id)
    assert (status, letter["code"]) == (0, "cid_not_allowed")
    assert '"did":"d2"' in letter["raw"]
    source = by_code["planted"]["source"]
    status, [dead], _ = await whole.penstock("quarantine", "show", source)
    assert (status, dead["source"], dead["stage"]) == (0, source, "map")
    status, lines, errors = await whole.penstock("quarantine", "list", "--until", "1h")
    assert (status, lines, errors) == (0, [], "penstock: nothing in the quarantine matches\n")
    status, lines, errors = await whole.penstock(
        "quarantine", "replay", "--reason", "plantd", "--stage", "map"
    )
    assert (status, lines) == (0, [{"selected": 0}])
    assert "matches; no letter has the reason 'plantd', there are: cid_not_allowed, planted\n" in errors
    status, lines, _ = await whole.penstock("quarantine", "replay", "--dialect", "relo", "--dry-run")
    assert (status, lines[-1]) == (1, {"selected": 3, "accepted": 2, "rejected": 1})
    assert await ends(whole) == 2
    status, lines, _ = await whole.penstock("quarantine", "replay", "--reason", "planted")
    assert (status, lines[-1]) == (0, {"selected": 2, "replayed": 2})
    assert {line["result"] for line in lines[:-1]} == {"replayed"}
    await whole.settle()
    assert len(await stored(whole)) == 2
    status, lines, _ = await whole.penstock("ledger")
    assert status == 0
    assert sum(line["stored"] for line in lines if line["topic"] == RAW) == 2


async def test_what_an_operator_gets_wrong_is_a_sentence(whole: Whole) -> None:
    for words, told in (
        (("replay",), "name what to replay"),
        (("list", "--since", "yesterday"), "--since takes how long ago"),
        (("list", "--until", "99999999999d"), "--until takes how long ago"),
        (("show", "12"), "--id takes an event id"),
        (("show", "1/events.raw/0"), "--id takes an event id"),
        (("show", "00000000-0000-7000-8000-000000000000"), "nothing in the quarantine matches"),
        (("show", "--dialect", "latin"), "no letter has the dialect 'latin', there are: none"),
        (("list", "--tenant", "nobody"), "there is no tenant 'nobody'"),
    ):
        status, lines, errors = await whole.penstock("quarantine", *words)
        assert status in (1, 2), words
        assert lines == []
        assert told in errors
        assert "Traceback" not in errors
    status, lines, errors = await whole.penstock("quarantine", "replay", "--id", "1/events.raw/0/99")
    assert (status, lines) == (1, [{"selected": 0}])
    assert "nothing in the quarantine matches" in errors
