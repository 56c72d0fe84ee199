import pytest

from bus.base import BusUnavailable, Record
from bus.memory import MemoryBus, MemoryLog


async def test_a_bus_that_was_set_down_refuses_everything_and_comes_back() -> None:
    async with MemoryBus(MemoryLog(partitions=2, inc=1)) as bus:
        bus.down = True
        for call in (
            bus.publish("t", [Record(b"k", b"v")]),
            bus.ends("t"),
            bus.committed("t", group="g"),
            bus.probe(),
        ):
            with pytest.raises(BusUnavailable, match="set down"):
                await call
        bus.down = False
        await bus.probe()
        assert set((await bus.ends("t")).values()) == {(0, 0)}


async def test_one_handle_may_be_down_while_another_is_up() -> None:
    log = MemoryLog(partitions=1, inc=1)
    async with MemoryBus(log) as gateway, MemoryBus(log) as worker:
        gateway.down = True
        await worker.publish("t", [Record(b"k", b"v")])
        gateway.down = False
        assert list((await gateway.ends("t")).values()) == [(0, 1)]
