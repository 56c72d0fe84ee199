"""What the resources of the api work with."""

from dataclasses import dataclass

from console.auditor import Auditor
from console.guard import Guard
from console.inflight import InFlight
from stores.base import Warehouse
from stores.registry import SqlRegistry


@dataclass(frozen=True, slots=True)
class Use:
    """The stores, the guard that lets callers in, who knows the books, and who looks into the log.

    `private_webhooks`: whether a webhook may be saved that goes to a private address.
    """

    warehouse: Warehouse
    registry: SqlRegistry
    guard: Guard
    auditor: Auditor
    in_flight: InFlight
    private_webhooks: bool = False
