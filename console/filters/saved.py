"""Filters as they are sent and shown, and the deliveries of their matches."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from console.rendering import moment
from schemas.conditions import ConditionsInvalid, read_filter
from schemas.webhooks import UrlRefused, check_url
from stores.registry import Delivery, Filter


class NamedFilter(Struct, forbid_unknown_fields=True):
    """What a saved filter is made of. `fresh_secret` asks for another secret when it is replaced."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    conditions: dict[str, Any]
    url: str = ""
    active: bool = True
    fresh_secret: bool = False

    def text(self, *, private_allowed: bool) -> str:
        """Return the conditions as they are kept. Raises ConditionsInvalid, also for a URL that cannot be."""
        read_filter(self.conditions)
        if self.url:
            try:
                check_url(self.url, private_allowed=private_allowed)
            except UrlRefused as error:
                raise ConditionsInvalid("url", f"no webhook can go there: {error}") from None
        return msgspec.json.encode(self.conditions).decode()


def shown(filter_: Filter, *, whole: bool = True) -> dict[str, Any]:
    """Return a saved filter without its secret; the whole URL, which may hold one, is for admins."""
    return {
        "id": filter_.filter_id,
        "name": filter_.name,
        "conditions": Raw(filter_.conditions.encode()),
        "url": filter_.url if whole else _origin(filter_.url),
        "active": filter_.active,
        "created_at": moment(filter_.created_at),
        "updated_at": moment(filter_.updated_at),
    }


def shown_once(filter_: Filter) -> dict[str, Any]:
    """Return a filter with the secret that signs its webhooks."""
    return shown(filter_) | ({"secret": filter_.secret} if filter_.secret else {})


def shown_delivery(delivery: Delivery) -> dict[str, Any]:
    """Return where a match stands; what is in it stays in `events`."""
    waits = delivery.state == "waiting"
    return {
        "id": delivery.match_id,
        "filter_id": delivery.filter_id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status or None,
        "reason": delivery.reason,
        "created_at": moment(delivery.created_at),
        "next_attempt_at": moment(delivery.due_at) if waits else None,
        "ended_at": None if delivery.ended_at is None else moment(delivery.ended_at),
    }


def _origin(url: str) -> str:
    """Return a URL without its path and query."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0].partition('?')[0]}/…" if url else ""
