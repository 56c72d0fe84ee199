"""The examples of every dialect: one request each, and what must come of it."""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dialects

ROOT = Path(dialects.__file__).parent


@dataclass(frozen=True)
class Outcome:
    """What came of a request. Envelopes, events and rejected are in the order of the request."""

    status: int
    body: bytes
    headers: dict[str, str]
    envelopes: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Example:
    """One file of `dialects/*/examples/`.

    `problem` is set where the gateway itself refuses the request, for a reason that a request alone does
    not have (a limit, a broken bus): then only the wording is looked at.
    """

    dialect: str
    name: str
    about: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    problem: dict[str, Any] | None
    expected: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.dialect}/{self.name}"


def load() -> list[Example]:
    """Read all examples of all dialects."""
    return [
        _read(path.parent.parent.name, path)
        for dialect in dialects.discover()
        for path in sorted((ROOT / dialect.name / "examples").glob("*.json"))
    ]


def _read(dialect: str, path: Path) -> Example:
    case = json.loads(path.read_text())
    request = case["request"]
    return Example(
        dialect=dialect,
        name=path.stem,
        about=case["about"],
        method=request["method"],
        path=request["path"],
        query=request.get("query", {}),
        headers={name.lower(): value for name, value in request["headers"].items() if value},
        body=_body(request),
        problem=case.get("problem"),
        expected=case["expected"],
    )


def _body(request: dict[str, Any]) -> bytes:
    if "body_text" in request:
        return str(request["body_text"]).encode()
    if "body_base64" in request:
        return base64.b64decode(request["body_base64"])
    if "events_repeated" in request:
        repeated = request["events_repeated"]
        return json.dumps({"events": [repeated["event"]] * repeated["times"]}).encode()
    return json.dumps(request["body"]).encode()


def as_parts(struct: Any) -> dict[str, Any]:
    """Return an envelope or an event as an example writes it."""
    parts = {name: getattr(struct, name) for name in struct.__struct_fields__}
    if "properties" in parts:
        parts["properties"] = json.loads(parts["properties"])
    return {name: list(part) if isinstance(part, tuple) else part for name, part in parts.items()}


def check(example: Example, outcome: Outcome) -> None:
    """Compare an outcome with what the example expects."""
    expected = example.expected
    assert outcome.status == expected["status"], outcome.body
    _check_body(expected["body"], outcome.body)
    for name, value in expected.get("headers", {}).items():
        assert outcome.headers[name.lower()] == value
    if "envelopes" in expected:
        _check_parts(expected["envelopes"], outcome.envelopes, outcome)
    if "events" in expected:
        _check_parts(expected["events"], outcome.events, outcome)
    if "rejected" in expected:
        _check_parts(expected["rejected"], outcome.rejected, outcome)


def _check_body(expected: object, body: bytes) -> None:
    if expected is None:
        assert body == b""
    else:
        assert _without_messages(json.loads(body), expected) == expected


def _without_messages(found: Any, expected: Any) -> Any:
    """Drop the sentences that an example does not spell out; where it says $text, any text will do."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return {
            name: _without_messages(value, expected.get(name))
            for name, value in found.items()
            if name in expected or not (name == "message" and isinstance(value, str) and value)
        }
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [_without_messages(*pair) for pair in zip(found, expected, strict=True)]
    return "$text" if expected == "$text" and isinstance(found, str) and found else found


def _check_parts(expected: list[dict[str, Any]], found: list[dict[str, Any]], outcome: Outcome) -> None:
    assert len(found) == len(expected), (found, outcome.rejected)
    for part, wanted in zip(found, expected, strict=True):
        assert {name: part[name] for name in wanted} == {
            name: _meant(value, part) for name, value in wanted.items()
        }


def _meant(value: object, part: dict[str, Any]) -> object:
    if isinstance(value, str) and value.startswith("$"):
        return part[value[1:]]
    return value
