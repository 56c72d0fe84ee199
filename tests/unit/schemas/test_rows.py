"""The rows as the workers write them, and their agreement with the SQL that reads them."""

import re
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from schemas import rows
from schemas.envelope import VERSION, DeadLetter, Rejected
from schemas.event import Event
from schemas.topics import Coordinates, Partition

PARTS = {
    rows.EVENTS: rows.EVENT_PARTS,
    rows.OUTCOMES: rows.OUTCOME_PARTS,
    rows.QUARANTINE: rows.QUARANTINE_PARTS,
    rows.BATCHES: rows.BATCH_PARTS,
    rows.PATCHES: rows.PATCH_PARTS,
}
AT = Coordinates(2, "events.dead", 3, 4)


def event(**changes: Any) -> Event:
    given: dict[str, Any] = {
        "event_id": "00000000-0000-7000-8000-000000000001",
        "tenant_id": 1,
        "dialect": "alana",
        "source": "key",
        "received_at": 1_763_000_000_123,
        "sent_at": None,
        "request_id": "r",
        "flags": [],
        "event_name": "search",
        "event_type": "products_searched",
        "occurred_at": 1_763_000_000_000,
        "subject": "v",
    }
    return Event(**(given | changes))


def parts(names: tuple[str, ...], row: str) -> dict[str, Any]:
    return dict(zip(names, msgspec.json.decode(row), strict=True))


def ddl() -> str:
    found = sorted(files("schemas").joinpath("ddl").iterdir(), key=lambda file: file.name)
    return "\n".join(file.read_text("utf-8") for file in found if file.name.endswith(".sql"))


@pytest.mark.parametrize("table", PARTS)
def test_the_sql_reads_the_parts_in_their_order(table: str) -> None:
    landing = rows.LANDING[table]
    (body,) = re.findall(rf"JSONExtract\(row, 'Tuple\(([^']*)\)'\)\) AS p\s+FROM {landing}\b", ddl())
    names = re.findall(r"^\s+(\w+) (?:Nullable|Array)\(", body, re.MULTILINE)
    assert names == [*PARTS[table], "beyond"]


@pytest.mark.parametrize("table", PARTS)
def test_the_sql_checks_every_part(table: str) -> None:
    """A part that is neither checked for null nor a list would be stored as a default."""
    (view,) = re.findall(rf"TO {table} AS\n(.*?)\n\);", ddl(), re.DOTALL)
    checked = set(re.findall(r"isNull\(`p\.(\w+)`\)", view)) | set(re.findall(r"length\(`p\.(\w+)`\)", view))
    assert set(PARTS[table]) - checked == set()
    assert "isNotNull(`p.beyond`)" in view


def test_the_sql_has_the_same_bounds() -> None:
    bounds = set(re.findall(r"BETWEEN (\d{9,}) AND (\d{9,})", ddl()))
    assert bounds == {(str(rows.TIME_MS_MIN), str(rows.TIME_MS_END - 1))}


def test_every_landing_table_takes_coordinates_and_a_row() -> None:
    for landing in rows.LANDING.values():
        (body,) = re.findall(
            rf"CREATE TABLE IF NOT EXISTS {landing} \$on_cluster\n\((.*?)\n\)", ddl(), re.DOTALL
        )
        assert re.findall(r"^\s+(\w+)", body, re.MULTILINE) == [*rows.COORDINATES, "row"]


def test_every_part_of_the_row_is_a_field_of_the_event() -> None:
    renamed = {"request_index": "index", "request_of": "of"}
    parts_of_it = {renamed.get(name, name) for name in rows.EVENT_PARTS}
    assert parts_of_it - {"retention_days", "elements"} <= set(Event.__struct_fields__)


def test_an_event_s_row_holds_each_field_at_its_place() -> None:
    marked = {
        name: f"<{name}>"
        for name in Event.__struct_fields__
        if name not in {"product_ids", "fraud_reasons", "flags", "at"}
    }
    given = Event(**marked, product_ids=("a",), fraud_reasons=("b", "c"), flags=["d"])  # type: ignore[arg-type]
    row = parts(rows.EVENT_PARTS, rows.event_row(given, retention_days=7))
    assert (row.pop("retention_days"), row.pop("elements")) == (7, 4)
    assert (row.pop("product_ids"), row.pop("fraud_reasons"), row.pop("flags")) == (["a"], ["b", "c"], ["d"])
    assert (row.pop("request_index"), row.pop("request_of")) == ("<index>", "<of>")
    assert row == {name: f"<{name}>" for name in row}
    assert "<email>" not in row.values()


def test_no_part_of_a_row_is_null() -> None:
    row = parts(rows.EVENT_PARTS, rows.event_row(event()))
    assert None not in row.values()
    assert [row[name] for name in ("sent_at", "person_id", "value", "fraud_score", "replay_of")] == [
        0,
        "",
        "",
        -1,
        "",
    ]


def test_a_patch_holds_what_its_event_adds_to_the_profile() -> None:
    profile = {"firstName": '"Ann"', "custom.Age": "0"}
    given = event(source="store", occurred_at=5, person_id="p", profile=profile)
    assert parts(rows.PATCH_PARTS, rows.patch_row(given, retention_days=7)) == {
        "event_id": given.event_id,
        "tenant_id": 1,
        "dialect": "alana",
        "source": "store",
        "person_id": "p",
        "occurred_at": 5,
        "received_at": 1_763_000_000_123,
        "fields": ["firstName", "custom.Age"],
        "values": ['"Ann"', "0"],
        "retention_days": 7,
        "elements": 4,
    }
    assert (
        parts(rows.PATCH_PARTS, rows.patch_row(event(person_id="p", anonymous_id="v", profile=profile)))[
            "source"
        ]
        == ""
    )


@pytest.mark.parametrize("nothing", [{"person_id": "p"}, {"profile": {"email": '"a"'}}])
def test_who_is_nobody_or_tells_nothing_has_no_patch(nothing: dict[str, Any]) -> None:
    assert rows.patch_row(event(**nothing)) == ""


def test_a_score_of_zero_is_not_a_missing_one() -> None:
    assert parts(rows.EVENT_PARTS, rows.event_row(event(fraud_score=0)))["fraud_score"] == 0


@pytest.mark.parametrize("name", ["product_ids", "fraud_reasons", "flags"])
def test_a_list_that_is_none_is_no_row(name: str) -> None:
    with pytest.raises(TypeError):
        rows.event_row(event(**{name: None}))


def test_a_lone_surrogate_is_no_row() -> None:
    with pytest.raises(UnicodeEncodeError):
        rows.event_row(event(city="\ud800"))


def test_an_outcome() -> None:
    row = parts(rows.OUTCOME_PARTS, rows.outcome_row(event(index=2, of=5), "dropped", reason="consent"))
    assert row == {
        "event_id": event().event_id,
        "tenant_id": 1,
        "outcome": "dropped",
        "reason": "consent",
        "first_event_id": "",
        "received_at": 1_763_000_000_123,
        "request_id": "r",
        "request_index": 2,
        "request_of": 5,
        "retention_days": 400,
    }


def test_a_rejected_event_is_its_own_source() -> None:
    letter = Rejected(
        v=VERSION,
        id=event().event_id,
        dialect="redo",
        endpoint="bulk",
        source="store",
        received_at=1_763_000_000_123,
        ip="203.0.113.9",
        ua="agent",
        request="r",
        index=4,
        code="bad",
        pointer="value",
        message="fix it",
        raw="{}",
    )
    row = parts(rows.QUARANTINE_PARTS, rows.quarantine_row(letter, AT))
    assert [row[f"src_{name}"] for name in ("topic", "kp", "ko", "inc")] == ["events.dead", 3, 4, 2]
    assert (row["stage"], row["endpoint"], row["request_index"]) == (rows.GATEWAY_STAGE, "bulk", 4)
    assert (row["ip"], row["user_agent"], row["retention_days"], row["truncated"]) == (
        "203.0.113.9",
        "agent",
        30,
        0,
    )


def dead(**changes: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "v": VERSION,
        "received_at": 1_763_000_000_123,
        "stage": "map",
        "code": "c",
        "message": "m",
        "raw": "r",
        "src_topic": "events.raw",
        "src_kp": 7,
        "src_ko": 8,
        "src_inc": 9,
    }
    return DeadLetter(**(given | changes))


def test_a_dead_letter_names_where_its_record_stood() -> None:
    row = parts(rows.QUARANTINE_PARTS, rows.quarantine_row(dead(truncated=True), AT))
    assert [row[f"src_{name}"] for name in ("topic", "kp", "ko", "inc")] == ["events.raw", 7, 8, 9]
    assert (row["stage"], row["event_id"], row["truncated"]) == ("map", "", 1)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"id": "zz"}, {"event_id": ""}),
        ({"tenant": 2**32}, {"tenant_id": 0}),
        ({"tenant": -1}, {"tenant_id": 0}),
        ({"received_at": 0}, {"received_at": rows.TIME_MS_MIN}),
        ({"received_at": 2**62}, {"received_at": rows.TIME_MS_END - 1}),
    ],
)
def test_the_quarantine_refuses_nothing(given: dict[str, Any], stored: dict[str, Any]) -> None:
    row = parts(rows.QUARANTINE_PARTS, rows.quarantine_row(dead(**given), AT))
    assert stored.items() <= row.items()


def test_columns_repeat_the_partition() -> None:
    block = rows.columns(Partition("events.raw", 3), 2, [7, 9], ["a", "b"])
    assert {name: list(values) for name, values in block.items()} == {
        "topic": ["events.raw", "events.raw"],
        "kp": [3, 3],
        "ko": [7, 9],
        "inc": [2, 2],
        "row": ["a", "b"],
    }
