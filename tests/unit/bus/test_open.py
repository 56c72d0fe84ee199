from pathlib import Path

import pytest

from bus import open_bus
from bus.base import Record
from bus.log.bus import LogBus
from bus.memory import MemoryBus
from schemas.settings import Settings


async def test_the_log_lies_under_the_home_directory_or_where_the_url_says(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for url, directory in (("log:", home / "bus"), (f"log:{other}", other)):
        async with open_bus(Settings(home=str(home), bus_url=url)) as bus:
            assert isinstance(bus, LogBus)
            await bus.publish("events.raw", [Record(b"k", b"v")])
        assert (directory / "topics" / "events.raw.db").is_file()


async def test_a_bus_in_memory_has_as_many_partitions_as_are_set() -> None:
    async with open_bus(Settings(bus_url="memory:", bus_partitions=3)) as bus:
        assert isinstance(bus, MemoryBus)
        assert len(await bus.ends("events.raw")) == 3


@pytest.mark.parametrize("url", ["", "log", "redis://127.0.0.1", "kafka:", "kafka://", "memory:x", "LOG:"])
def test_a_wrong_url_is_answered_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match=r"PENSTOCK_BUS_URL takes log: .* kafka://HOST:PORT"):
        open_bus(Settings(bus_url=url))


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="PENSTOCK_BUS_URL") as caught:
        open_bus(Settings(bus_url="amqp://user:secret@127.0.0.1"))
    assert "secret" not in str(caught.value)
