"""Which machine and which versions a run was made with."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from bench.programs import HERE, go_version
from bench.report import Machine
from deploy.dev import kafka, postgres, redis
from deploy.dev.server import run

PACKAGES = ("aiokafka", "chdb", "granian", "httptools", "hypercorn", "msgspec", "starlette", "uvloop")
PEER_MODULE = "github.com/benthosdev/benthos/v4"


def describe() -> Machine:
    """Ask this machine, now."""
    return Machine(
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        cpu=_field("/proc/cpuinfo", "model name"),
        cores=os.cpu_count() or 1,
        memory_gb=round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
        kernel=platform.release(),
        versions=versions(),
        commit=_output("git", "-C", str(HERE), "describe", "--always", "--dirty"),
        load_average=[round(each, 2) for each in os.getloadavg()],
    )


def versions() -> dict[str, str]:
    """Return what runs, by name."""
    database, limits = postgres.find(), redis.find()
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "kafka": kafka.VERSION,
        "postgres": _output(str(database / "postgres"), "--version") if database else "",
        "redis": _output(str(limits), "--version") if limits else "",
        "go": go_version(),
        "peer": f"{PEER_MODULE} {peer_version((HERE / 'peer' / 'go.mod').read_text())}",
    }


def peer_version(go_mod: str) -> str:
    """Read the peer's version from its go.mod."""
    return next(line.split()[-1] for line in go_mod.splitlines() if PEER_MODULE in line)


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _output(*command: str) -> str:
    try:
        return run(command).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
