"""Consent, first and last: what an event may be used for, and what its row may hold.

The stages in between need an address whole to find its country and a user agent to name the device, so
the row is reduced only when they are done. What a stage itself would learn of a person it asks
workers/consent.py for. docs/consent.md has the table of all columns.
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import dialects
from dialects import jsontext
from schemas.event import Event
from workers.consent import allows, is_whole, translate
from workers.resources import Resources
from workers.stage import KEEP, Drop, Verdict

WITHHELD = "withheld"
"""The flag of a row that was reduced."""

NETWORK_BITS = {4: 24, 6: 48}
"""What is left of an address, by its version."""

COUNTRY_FIELDS = frozenset({"location.country", "location.countryCode"})
"""Of a profile."""

_NO_ANALYTICS = Drop("no_analytics_consent")

_NAMED = {dialect.name: dialect.named_properties for dialect in dialects.discover()}


class Consent:
    """Decide what each event may be used for; drop it where its tenant wants none without analytics."""

    name = "consent"

    def __init__(self, use: Resources) -> None:
        pass

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep or drop."""
        return [_decide(event) for event in events]


class Withhold:
    """Empty the columns that the person did not agree to; what stands after it sees the event so."""

    name = "withhold"

    def __init__(self, use: Resources) -> None:
        pass

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all."""
        for event in events:
            if not is_whole(event):
                withhold(event)
        return [KEEP] * len(events)


def _decide(event: Event) -> Verdict:
    settings = event.settings
    if not event.consent_given:
        event.consent = settings.consent_default
    event.allowed = translate(event.consent, settings.consent_bits)
    if settings.drop_without_analytics and not allows(event, "analytics"):
        return _NO_ANALYTICS
    return KEEP


def withhold(event: Event) -> None:
    """Reduce an event that lacks one of analytics, identity, location and device."""
    if not allows(event, "identity"):
        _forget_person(event)
    if not allows(event, "location"):
        event.city = ""
        if event.profile:
            event.profile = {name: fact for name, fact in event.profile.items() if _is_coarse(name)}
    if not allows(event, "device"):
        event.browser = event.os = event.device_type = ""
    event.url = without_query(event.url)
    event.referrer = without_query(event.referrer)
    event.ip = network(event.ip)
    event.user_agent = ""
    event.properties = _named_only(event)
    event.extra = ""
    event.raw = ""
    if WITHHELD not in event.flags:
        event.flags.append(WITHHELD)


def _forget_person(event: Event) -> None:
    names = {event.user_id, event.email, event.phone} - {""}
    if event.anonymous_id in names:
        event.anonymous_id = ""
    if event.subject in names:
        event.subject = event.event_id  # as if it stood alone
    event.person_id = None
    event.user_id = event.email = event.phone = ""


def _is_coarse(field: str) -> bool:
    """Tell whether a field of a profile says nothing closer than the country."""
    return not field.startswith("location.") or field in COUNTRY_FIELDS


def without_query(url: str) -> str:
    """Return a URL without query, fragment and credentials."""
    url = url.partition("?")[0].partition("#")[0]
    scheme, mark, rest = url.partition("//")
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path


def network(address: str) -> str:
    """Return the first address of the /24 or /48 that an address is in, or "" for what is none."""
    bits = NETWORK_BITS[6 if ":" in address else 4]
    try:
        return str(ip_network(f"{address}/{bits}", strict=False).network_address)
    except ValueError:
        return ""


def _named_only(event: Event) -> str:
    named = _NAMED.get(event.dialect, {}).get(event.event_name, ())
    if not named or event.properties == "{}":
        return "{}"
    sent = jsontext.read_object(event.properties.encode())
    kept = {name: _bare(name, sent[name]) for name in named if name in sent}
    return jsontext.write_object({name: value for name, value in kept.items() if value is not None})


def _bare(name: str, value: Any) -> Any:
    """Return a value without what a protocol that names it does not mean: objects, queries of URLs."""
    if isinstance(value, dict):
        return None
    if isinstance(value, list):
        return [_bare(name, each) for each in value if not isinstance(each, dict | list)]
    if isinstance(value, str) and (name == "url" or "//" in value):
        return without_query(value)
    return value
