"""What webhooks still hold of a person: found by what the match says of its event, and taken away."""

import logging
from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import Struct

from console.erasure.naming import Naming, Told
from schemas.erasures import Subject
from stores.registry import Delivery, SqlRegistry

log = logging.getLogger("penstock.erasure")


class _Body(Struct):
    event: Told


_decode = msgspec.json.Decoder(_Body).decode


async def undelivered(registry: SqlRegistry, subject: Subject) -> AsyncIterator[Sequence[Delivery]]:
    """Yield the deliveries that hold an event of the person, some at a time. Raises StoreUnavailable."""
    naming = Naming(subject)
    async for page in registry.undelivered(subject.tenant_id):
        found = [one for one in page if _is_of(naming, one)]
        if found:
            yield found


def _is_of(naming: Naming, delivery: Delivery) -> bool:
    try:
        return naming.in_match(_decode(delivery.body.encode()).event)
    except msgspec.DecodeError:  # nobody but the worker webhooks writes them
        log.warning("the body of delivery %s cannot be read", delivery.match_id)
        return False


async def erase_deliveries(registry: SqlRegistry, erasure_id: str, owner: str, subject: Subject) -> None:
    """Let none of them be sent any more. Raises LeaseLost, StoreUnavailable."""
    async for found in undelivered(registry, subject):
        await registry.erase_deliveries(erasure_id, owner, [one.match_id for one in found])
