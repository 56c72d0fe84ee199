"""The supervisor over real processes: order, restarts, pid files, and no orphans."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from deploy.dev.plan import CODE, Plan
from deploy.dev.rundir import AlreadyRuns, RunDirectory
from deploy.dev.supervisor import StartFailed, supervise
from tests.unit.deploy.parts import FAITHFUL, plan, script, with_part

PARTS = ("clickhouse", "worker-events-1", "gateway-1")


async def until(condition: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def pid_of(home: Path, part: str) -> int | None:
    path = home / "run" / f"{part}.pid"
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return None


def came_back(home: Path, part: str, killed: int) -> bool:
    return pid_of(home, part) not in (None, killed)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or ") Z" not in Path(f"/proc/{pid}/stat").read_text()


@asynccontextmanager
async def running(
    home: Path, laid_out: Plan
) -> AsyncIterator[tuple[list[str], Callable[[], Awaitable[None]]]]:
    """A supervisor in this process; yields what it said and a way to stop it as Ctrl-C does."""
    run = RunDirectory(home)
    lines: list[str] = []
    ready = asyncio.Event()
    task = asyncio.create_task(
        supervise(laid_out, run, run.lock(), say=lines.append, welcome=ready.set, follow_parent=False)
    )

    async def stop() -> None:
        if not task.done():
            os.kill(os.getpid(), signal.SIGINT)
        await task

    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=20)
    waiting.cancel()
    try:
        yield lines, stop
    finally:
        await stop()


async def test_parts_start_in_order_and_stop_gateway_first(tmp_path: Path) -> None:
    async with running(tmp_path, plan(tmp_path)) as (lines, stop):
        assert {part: pid_of(tmp_path, part) is not None for part in PARTS} == dict.fromkeys(PARTS, True)
        assert pid_of(tmp_path, "supervisor") == os.getpid()
        assert (tmp_path / "run" / "ports.json").exists()
        await stop()
    journal = (tmp_path / "journal").read_text().split("\n")
    assert journal[0] == "started clickhouse"
    assert set(journal[1:3]) == {"started worker-events-1", "started gateway-1"}
    assert journal[3:6] == ["stopped gateway-1", "stopped worker-events-1", "stopped clickhouse"]
    assert list((tmp_path / "run").glob("*.pid")) == []
    assert not (tmp_path / "run" / "ports.json").exists()
    assert lines[-1].startswith("stopped")


async def test_a_killed_part_is_started_again_and_the_rest_stay(tmp_path: Path) -> None:
    async with running(tmp_path, plan(tmp_path)) as (lines, _):
        for part in PARTS:
            before = {name: pid_of(tmp_path, name) for name in PARTS}
            killed = before[part]
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(partial(came_back, tmp_path, part, killed), 5)
            after = {name: pid_of(tmp_path, name) for name in PARTS}
            assert {name for name in PARTS if before[name] != after[name]} == {part}
        assert sum("was ended by SIGKILL" in line for line in lines) == len(PARTS)


async def test_a_part_that_cannot_live_is_tried_more_and_more_rarely(tmp_path: Path) -> None:
    broken = script("api", "import sys; sys.exit('the disk is on fire')", tmp_path)
    laid_out = with_part(plan(tmp_path), broken)
    run = RunDirectory(tmp_path)
    lines: list[str] = []
    task = asyncio.create_task(
        supervise(laid_out, run, run.lock(), say=lines.append, welcome=lambda: None, follow_parent=False)
    )
    await until(lambda: sum("the disk is on fire" in line for line in lines) >= 3)
    waits = [line.rsplit(" ", 2)[1] for line in lines if "the disk is on fire" in line]
    assert waits[:3] == ["0.4", "0.8", "1.6"]
    assert pid_of(tmp_path, "worker-events-1") is not None
    os.kill(os.getpid(), signal.SIGTERM)
    await task


async def test_a_start_that_no_retry_can_mend_ends_with_its_sentence(tmp_path: Path) -> None:
    code = "import sys; print('the schema is too new', file=sys.stderr); sys.exit(2)"
    run = RunDirectory(tmp_path)
    with pytest.raises(StartFailed, match="migrate: the schema is too new"):
        await supervise(
            plan(tmp_path, migrate=code), run, run.lock(), say=print, welcome=print, follow_parent=False
        )
    assert "stopped clickhouse" in (tmp_path / "journal").read_text()
    assert list((tmp_path / "run").glob("*.pid")) == []


async def test_a_part_that_no_retry_can_mend_ends_the_start_with_its_sentence(tmp_path: Path) -> None:
    code = "import sys; print('penstock: the token is stale', file=sys.stderr); sys.exit(2)"
    laid_out = with_part(plan(tmp_path), script("api", code, tmp_path))
    run = RunDirectory(tmp_path)
    welcomed: list[str] = []
    with pytest.raises(StartFailed, match=r"^api: the token is stale$"):
        await supervise(
            laid_out,
            run,
            run.lock(),
            say=print,
            welcome=lambda: welcomed.append("welcome"),
            follow_parent=False,
        )
    assert not welcomed
    assert "stopped clickhouse" in (tmp_path / "journal").read_text()
    assert list((tmp_path / "run").glob("*.pid")) == []


async def test_a_part_that_once_served_is_started_again_whatever_it_ends_with(tmp_path: Path) -> None:
    failing = FAITHFUL.replace("sys.exit(0)", "sys.exit(2)")
    async with running(tmp_path, with_part(plan(tmp_path), script("api", failing, tmp_path))) as (_, stop):
        killed = pid_of(tmp_path, "api")
        assert killed is not None
        os.kill(killed, signal.SIGTERM)
        await until(partial(came_back, tmp_path, "api", killed))
        assert pid_of(tmp_path, "gateway-1") is not None
        await stop()


async def test_a_start_that_may_succeed_later_is_tried_again(tmp_path: Path) -> None:
    flag = tmp_path / "second"
    code = (
        f"import sys, pathlib; p = pathlib.Path({str(flag)!r}); ok = p.exists(); p.touch(); sys.exit(not ok)"
    )
    async with running(tmp_path, plan(tmp_path, migrate=code)) as (lines, _):
        assert any("trying again" in line for line in lines)
        assert pid_of(tmp_path, "gateway-1") is not None


async def test_important_lines_of_a_log_reach_the_console(tmp_path: Path) -> None:
    logged = '{"level":"info","message":"fine"}\n{"level":"warning","message":"look here"}'
    loud = script("api", f"print({logged!r}, flush=True)\n{FAITHFUL}", tmp_path)
    async with running(tmp_path, with_part(plan(tmp_path), loud)) as (lines, _):
        await until(lambda: "api: warning: look here" in lines)
        assert not any("fine" in line for line in lines)
    assert "fine" in (tmp_path / "log" / "api.log").read_text()


async def test_a_second_supervisor_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with running(tmp_path, plan(tmp_path)):
        with pytest.raises(AlreadyRuns, match=r"in use by .*supervisor \(pid \d+\)"):
            RunDirectory(tmp_path).lock()


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from deploy.dev.rundir import RunDirectory
from deploy.dev.supervisor import supervise
from tests.unit.deploy.parts import DEAF, plan, script, with_part
home = Path(sys.argv[1])
run = RunDirectory(home)
laid_out = plan(home)
if sys.argv[2] == "deaf":
    laid_out = with_part(laid_out, script("api", DEAF, home))
asyncio.run(supervise(laid_out, run, run.lock(), say=print, welcome=lambda: print("ready", flush=True),
                      follow_parent=sys.argv[3:] == ["follow"]))
"""


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive its test."""
    process = subprocess.Popen(command, cwd=CODE, env={**os.environ, "PYTHONPATH": str(CODE)})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def watching(home: Path, *parts: str) -> bool:
    """Whether the parts have come as far as to watch their parent."""
    journal = home / "journal"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return all(f"started {part}" in lines for part in parts)


async def test_no_orphans_after_kill_9_of_the_supervisor(tmp_path: Path) -> None:
    names = (*PARTS, "api")
    with started(sys.executable, "-c", SUPERVISOR, str(tmp_path), "deaf") as process:
        await until(lambda: watching(tmp_path, *names))
        pids = [pid for part in names if (pid := pid_of(tmp_path, part))]
        assert len(pids) == len(names)
        process.kill()
        process.wait()
    await until(lambda: not any(alive(pid) for pid in pids))
    assert list((tmp_path / "run").glob("*.pid")) == []
    # What outlived the supervisor kept the lock; now a new one may have it.
    os.close(RunDirectory(tmp_path).lock())


async def test_the_lock_outlives_the_supervisor_while_a_part_lives(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    fd = run.lock()
    with subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"), pass_fds=(fd,)) as part:
        os.close(fd)
        with pytest.raises(AlreadyRuns):
            run.lock(patience_s=0.3)
        part.kill()
    os.close(run.lock())


async def test_it_stops_when_the_calling_process_is_gone(tmp_path: Path) -> None:
    script = '"$0" -c "$1" "$2" plain follow & wait'
    with started("sh", "-c", script, sys.executable, SUPERVISOR, str(tmp_path)):
        await until(lambda: watching(tmp_path, *PARTS))
        supervisor = pid_of(tmp_path, "supervisor")
        assert supervisor is not None
    await until(lambda: not alive(supervisor))
    assert "stopped clickhouse" in (tmp_path / "journal").read_text()
