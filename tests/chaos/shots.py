"""The requests of the load, dialect by dialect: what is sent, and which reply means durable."""

import json
import random
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.chaos.marks import Mark

TENANT_UUID = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class Shot:
    """One request with the marks of its events. `retry`: it has a dedup key, so the same bytes may repeat."""

    dialect: str
    path: str
    headers: dict[str, str]
    body: bytes
    marks: tuple[Mark, ...]
    retry: bool
    status: int
    reply_has: dict[str, Any]

    def acknowledged(self, status: int, body: bytes) -> bool:
        """Tell whether a reply means that every event of the request is durable."""
        if status != self.status:
            return False
        if not self.reply_has:
            return True
        reply = json.loads(body)
        return all(reply.get(key) == value for key, value in self.reply_has.items())


class Sender:
    """Makes the requests of one subject group of one dialect; each subject's marks count up."""

    def __init__(self, dialect: str, number: int, rng: random.Random) -> None:
        self.dialect = dialect
        self._rng = rng
        self._subjects = {f"s{number}x{i}": count() for i in range(5)}
        self._serial = count()
        self._prefix = f"{dialect}{number}"

    def shot(self) -> Shot:
        """Return the next request. Call again only when this one is answered for good."""
        make = {"relo": self._relo, "alana": self._alana, "redo": self._redo, "tracker": self._tracker}
        return make[self.dialect]()

    def _mark(self) -> Mark:
        subject = self._rng.choice(list(self._subjects))
        return Mark(self.dialect, subject, next(self._subjects[subject]))

    def _relo(self) -> Shot:
        marks = tuple(self._mark() for _ in range(self._rng.randint(1, 40)))
        events = [
            {"t": "custom", "ts": 1_760_000_000_000, "cid": 3, "did": m.subject, "props": {"mark": m.text}}
            for m in marks
        ]
        headers = {"Authorization": "Bearer dev-relo-token"}
        if self._rng.random() < 0.3:
            headers["Idempotency-Key"] = f"{self._prefix}-{next(self._serial)}"
        reply = {"accepted": len(marks), "rejected": 0}
        return _shot("relo", "/ingest/batch", headers, {"events": events}, marks, True, 200, reply)

    def _alana(self) -> Shot:
        marks = tuple(self._mark() for _ in range(self._rng.randint(1, 10)))
        events = [
            {"eventType": "home-page-view", "visitorId": m.subject, "metadata": {"mark": m.text}}
            for m in marks
        ]
        headers = {"x-api-key": "ak_dev"}
        keyed = self._rng.random() < 0.5
        if keyed:
            headers["Idempotency-Key"] = f"{self._prefix}-{next(self._serial)}"
        reply = {"status": "ok", "stored": len(marks), "errors": 0}
        return _shot("alana", "/api/v1/events", headers, {"events": events}, marks, keyed, 200, reply)

    def _redo(self) -> Shot:
        keyed = self._rng.random() < 0.7
        marks = tuple(self._mark() for _ in range(self._rng.randint(1, 10)))
        events = [
            {"eventName": "Chaos", "customer": {"id": m.subject}, "data": {"mark": m.text}}
            | ({"uniqueId": m.text} if keyed else {})
            for m in marks
        ]
        headers = {"Authorization": "Bearer dev-redo-secret"}
        path = "/v2.2/stores/dev-store/events"
        if len(events) == 1:
            return _shot("redo", path, headers, events[0], marks, keyed, 202, {})
        return _shot("redo", f"{path}/bulk", headers, {"events": events}, marks, keyed, 202, {})

    def _tracker(self) -> Shot:
        mark = self._mark()
        kind = self._rng.choice(["track", "conversion", "interactions"])
        metadata = {"mark": mark.text}
        if kind == "track":
            body: dict[str, Any] = {
                "tenant_id": TENANT_UUID,
                "type": "cart_add",
                "product_id": 101,
                "metadata": metadata,
            }
            path = "/api/v1/analytics/track"
            return _shot("tracker", path, {}, body, (mark,), False, 202, {"success": True})
        if kind == "interactions":
            body = {"tenant_id": 1, "type": "view", "metadata": metadata}
            return _shot(
                "tracker", "/api/v1/interactions", {}, body, (mark,), False, 201, {"status": "success"}
            )
        body = {"tenant_slug": "mi-negocio", "transaction_id": mark.text, "value": 150.0, "currency": "HNL"}
        path = "/api/v1/analytics/conversion"
        return _shot("tracker", path, {}, body, (mark,), True, 200, {"status": "ok"})


def _shot(
    dialect: str,
    path: str,
    headers: dict[str, str],
    body: dict[str, Any],
    marks: tuple[Mark, ...],
    retry: bool,
    status: int,
    reply_has: dict[str, Any],
) -> Shot:
    headers = headers | {"Content-Type": "application/json"}
    return Shot(dialect, path, headers, json.dumps(body).encode(), marks, retry, status, reply_has)
