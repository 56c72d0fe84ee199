"""Small parts to supervise: real processes that note what happened to them."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy.dev.plan import CODE, Plan
from deploy.dev.rundir import Ports
from deploy.dev.server import Server

FAITHFUL = """
import signal, sys, time
from pathlib import Path
from deploy.dev.parent import watch_parent
watch_parent()
name, journal = sys.argv[1], Path(sys.argv[2])
def note(word):
    with journal.open("a") as file:
        file.write(f"{word} {name}\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
while True:
    time.sleep(0.05)
"""

DEAF = FAITHFUL.replace("signal.SIGTERM, stop", "signal.SIGTERM, signal.SIG_IGN")
"""Ends by SIGKILL only."""


def script(name: str, code: str, home: Path) -> Server:
    """A part that runs `code` with its name and the journal's path as arguments."""
    journal = home / "journal"
    env: Mapping[str, str] = {"PYTHONPATH": str(CODE), "PENSTOCK_HOME": str(home)}
    return Server(
        name=name,
        argv=(sys.executable, "-c", code, name, str(journal)),
        cwd=home,
        url="",
        ready=lambda: journal.exists() and f"started {name}\n" in journal.read_text(),
        env=env,
        refusal=2,
    )


def plan(home: Path, *, migrate: str = "pass") -> Plan:
    """A system of three parts in the order of the real one."""
    return Plan(
        stores=(script("clickhouse", FAITHFUL, home),),
        migrate=script("migrate", migrate, home),
        workers=(script("worker-events-1", FAITHFUL, home),),
        gateways=(script("gateway-1", FAITHFUL, home),),
        ports=Ports(gateway=1, api=2, clickhouse=3, admin={}),
        urls={},
    )


def with_part(laid_out: Plan, part: Server) -> Plan:
    """The same system with one part more, among the workers."""
    return replace(laid_out, workers=(*laid_out.workers, part))
