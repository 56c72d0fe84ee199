"""What every bus must do: a test module subclasses BusContract for its engine and overrides the fixtures.

A handle is a bus object as one process would open it; several handles of a test reach the same records.
Open them with `bus_partitions = PARTITIONS`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest

from bus.base import Bus
from tests.contract.bus_members import PARTITIONS
from tests.contract.bus_ownership import OwnershipContract
from tests.contract.bus_publishing import PublishContract
from tests.contract.bus_taking import TakeContract

__all__ = ["PARTITIONS", "BusContract"]


class BusContract(PublishContract, TakeContract, OwnershipContract):
    """Subclass this as `Test...`; override `open_handle` and `outage`, and `topic` if it must be made."""

    @pytest.fixture
    def open_handle(self) -> Callable[[], Bus]:
        """Return a function that makes a new handle (not yet entered) on this test's engine."""
        raise NotImplementedError

    @pytest.fixture
    def topic(self) -> str:
        """Name a topic that no other test uses; it has PARTITIONS partitions once it is used."""
        return f"contract.{uuid4().hex[:12]}"

    @pytest.fixture
    def outage(self, open_handle: Callable[[], Bus]) -> Callable[[Bus], AbstractAsyncContextManager[None]]:
        """Return a context in which the engine does not answer to the given handle; after it, it does."""
        raise NotImplementedError

    @pytest.fixture
    async def bus(self, open_handle: Callable[[], Bus]) -> AsyncIterator[Bus]:
        async with open_handle() as bus:
            yield bus
