"""What is said of the parts, while they are well and while they are not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bus.base import BusUnavailable
from gateway import health as timing
from gateway.health import Health, knock
from gateway.metrics import Metrics
from stores.base import StoreUnavailable

PARTS = ("clickhouse", "dragonfly", "supabase", "bus")


class Parts:
    """Four parts that a test breaks."""

    def __init__(self) -> None:
        self.broken: dict[str, BaseException] = {}
        self.slow: set[str] = set()

    def probe(self, part: str) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            if part in self.slow:
                await asyncio.sleep(30)
            if part in self.broken:
                raise self.broken[part]

        return ask


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def health(parts: Parts) -> Health:
    return Health({p: parts.probe(p) for p in PARTS}, version="1.2.3", metrics=Metrics())


async def test_all_is_well(health: Health) -> None:
    await health.probe_all()
    body = health.body()
    assert (body.status, body.version, body.uptime_sec) == ("ok", "1.2.3", 0)
    assert {body.clickhouse, body.dragonfly, body.supabase, body.bus} == {"ok"}
    assert health.ready


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "error", [StoreUnavailable("x"), BusUnavailable("x"), ConnectionRefusedError(), RuntimeError("surprise")]
)
async def test_one_part_is_down(health: Health, parts: Parts, part: str, error: Exception) -> None:
    parts.broken[part] = error
    await health.probe_all()
    body = health.body()
    assert getattr(body, part) == "down"
    assert body.status == ("down" if part == "bus" else "degraded")
    assert health.ready is (part != "bus")
    parts.broken.clear()
    await health.probe_all()
    assert health.body().status == "ok"


async def test_a_part_that_hangs_is_down(
    health: Health, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "PROBE_TIMEOUT_S", 0.01)
    parts.slow.add("supabase")
    await health.probe_all()
    assert health.body().supabase == "down"


async def test_a_slow_part_is_degraded(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SLOW_S", -1.0)
    await health.probe_all()
    assert health.body().bus == "degraded"
    assert health.body().status == "degraded"
    assert health.ready


async def test_before_anything_was_asked_nothing_is_promised(health: Health) -> None:
    assert health.body().status == "down"
    assert not health.ready


async def test_old_answers_are_not_believed(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    await health.probe_all()
    monkeypatch.setattr(timing, "STALE_S", 0.0)
    assert health.body().status == "down"


async def test_who_is_stopping_is_not_ready(health: Health) -> None:
    await health.probe_all()
    health.stopping = True
    assert not health.ready
    assert health.body().status == "ok"


async def test_the_watch_goes_on(health: Health, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PROBE_EVERY_S", 0.001)
    watching = asyncio.create_task(health.watch())
    while not health.ready:
        await asyncio.sleep(0.001)
    parts.broken["bus"] = RuntimeError("surprise")
    while health.ready:
        await asyncio.sleep(0.001)
    watching.cancel()


async def test_knocking(unused_port: int) -> None:
    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with pytest.raises(ConnectionRefusedError):
        await knock(f"clickhouse://user:secret@127.0.0.1:{unused_port}/db")
    async with await asyncio.start_server(stay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await knock(f"clickhouse://user:secret@127.0.0.1:{port}/db")
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionResetError):
            await knock(f"clickhouse://127.0.0.1:{port}/db")
