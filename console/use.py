"""What the resources of the api work with."""

from dataclasses import dataclass

from console.guard import Guard
from stores.base import Registry, Warehouse


@dataclass(frozen=True, slots=True)
class Use:
    """The stores, and the guard that lets callers in."""

    warehouse: Warehouse
    registry: Registry
    guard: Guard
