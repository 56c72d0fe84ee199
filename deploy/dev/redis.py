"""A Redis on loopback: rate limits and velocities, nothing that has to outlive it."""

import shutil
from pathlib import Path

from deploy.dev.server import Server, ServerFailed, asks

PROGRAMS = ("redis-server", "valkey-server")
PACKAGE = "redis-server"


def find() -> Path | None:
    """Return the server's program from PATH."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return Path(found) if found else None


def prepare(directory: Path, port: int) -> Server:
    """Describe a Redis that keeps nothing on disk. Raises ServerFailed when none is installed."""
    program = find()
    if program is None:
        raise ServerFailed(f"no Redis found: install the package {PACKAGE}")
    directory.mkdir(parents=True, exist_ok=True)
    return Server(
        name="redis",
        argv=(
            str(program),
            *("--bind", "127.0.0.1", "--port", str(port)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            *("--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl"),
        ),
        cwd=directory,
        url=f"redis://127.0.0.1:{port}/0",
        ready=lambda: asks(port, b"PING\r\n", b"+PONG"),
    )
