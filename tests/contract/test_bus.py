"""The bus contract over the engines that need nothing but this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bus import open_bus
from bus.base import Bus
from bus.log.lock import FairLock
from bus.memory import MemoryBus, MemoryLog
from schemas.settings import Settings
from tests.contract.bus_contract import PARTITIONS, BusContract


class TestMemory(BusContract):
    @pytest.fixture
    def open_handle(self) -> Callable[[], Bus]:
        log = MemoryLog(partitions=PARTITIONS, inc=1)
        return lambda: MemoryBus(log)

    @pytest.fixture
    def outage(self, open_handle: Callable[[], Bus]) -> Callable[[Bus], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def down(bus: Bus) -> AsyncIterator[None]:
            assert isinstance(bus, MemoryBus)
            bus.down = True
            yield
            bus.down = False

        return down


class TestLog(BusContract):
    @pytest.fixture
    def open_handle(self, tmp_path: Path) -> Callable[[], Bus]:
        settings = Settings(home=str(tmp_path), bus_url="log:", bus_partitions=PARTITIONS)
        return lambda: open_bus(settings)

    @pytest.fixture
    def outage(
        self, open_handle: Callable[[], Bus], tmp_path: Path
    ) -> Callable[[Bus], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def locked(bus: Bus) -> AsyncIterator[None]:
            """Behave like a process that was frozen while it wrote."""
            with ExitStack() as stack:
                for path in (tmp_path / "bus" / "topics").glob("*.db"):
                    stack.enter_context(FairLock(path).held(wait_s=1))
                yield

        return locked
