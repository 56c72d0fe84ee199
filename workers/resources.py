"""What the stages of a worker may use: opened once per process, given to each pipeline."""

from dataclasses import dataclass

from schemas.settings import Settings
from stores.base import Registry, Warehouse
from stores.geo import Geo


@dataclass(frozen=True, slots=True)
class Resources:
    """All of them are open already; whoever opened them closes them."""

    settings: Settings
    warehouse: Warehouse
    registry: Registry
    geo: Geo
