"""The directory `run` of a running system: pid files, ports, and the lock that admits one supervisor."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.settings import PORT_MAX, SettingsError


class AlreadyRuns(RuntimeError):
    """Another supervisor, or a part that outlived one, works on this directory."""


class Ports(Struct, frozen=True):
    """Where a running system listens, all on loopback; 0: not part of it. `admin` is by part name."""

    gateway: int
    api: int
    clickhouse: int
    admin: dict[str, int]
    kafka: int = 0
    kafka_controller: int = 0
    postgres: int = 0
    redis: int = 0


class RunDirectory:
    """`home`/run and `home`/log. Makes them if they are missing."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.run = self.home / "run"
        self.log = self.home / "log"

    def lock(self, *, patience_s: float = 15.0) -> int:
        """Take the lock and return its descriptor, which every part must inherit.

        A lock of this kind lasts until the last process that inherited it ends, so it also waits
        for parts that are still stopping after a supervisor was killed. Raises AlreadyRuns, and
        SettingsError for a directory that cannot be written.
        """
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self.log.mkdir(exist_ok=True)
            fd = os.open(self.run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SettingsError(f"{self.home} cannot hold the state: {error.strerror}") from None
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            else:
                break
            alive = self.pids()
            if "supervisor" in alive or time.monotonic() > deadline:
                os.close(fd)
                raise AlreadyRuns(self._who(alive))
            time.sleep(0.1)
        for path in self.run.glob("*.pid"):
            path.unlink()
        return fd

    def _who(self, alive: dict[str, int]) -> str:
        names = ", ".join(f"{name} (pid {pid})" for name, pid in sorted(alive.items())) or "another process"
        return (
            f"{self.home} is in use by {names}. Stop that system first, "
            "or choose another directory: VAR=./other with make, --home ./other with penstock"
        )

    def pids(self) -> dict[str, int]:
        """Return the living parts by name."""
        alive = {}
        for path in self.run.glob("*.pid"):
            try:
                pid = int(path.read_text())
                os.kill(pid, 0)
            except (OSError, ValueError):
                continue
            alive[path.stem] = pid
        return alive

    def write_pid(self, name: str, pid: int) -> None:
        """Put a part's pid where tools look for it, whole or not at all."""
        self._write(f"{name}.pid", f"{pid}\n".encode())

    def remove_pid(self, name: str) -> None:
        """Forget a part that ended."""
        (self.run / f"{name}.pid").unlink(missing_ok=True)

    def write_ports(self, ports: Ports, urls: Mapping[str, str]) -> None:
        """Publish where this system listens, and the settings that reach its stores."""
        # Only its owner reads the second file: a URL may hold a password.
        self._write("urls.json", msgspec.json.format(msgspec.json.encode(urls)) + b"\n", mode=0o600)
        self._write("ports.json", msgspec.json.format(msgspec.json.encode(ports)) + b"\n")

    def ports(self) -> Ports | None:
        """Return where the system listens that ran here last, or None."""
        try:
            return msgspec.json.decode((self.run / "ports.json").read_bytes(), type=Ports)
        except (OSError, msgspec.DecodeError):
            return None

    def urls(self) -> dict[str, str]:
        """Return the settings that reach the stores of the system that runs here; none: it does not."""
        try:
            return msgspec.json.decode((self.run / "urls.json").read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            return {}

    def remove_ports(self) -> None:
        """Say that nothing listens any more."""
        (self.run / "urls.json").unlink(missing_ok=True)
        (self.run / "ports.json").unlink(missing_ok=True)

    def _write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        unfinished = self.run / f".{name}.new"
        unfinished.touch(mode)
        unfinished.write_bytes(content)
        unfinished.rename(self.run / name)


def refuse_taken(host: str, port: int, *, variable: str) -> None:
    """Raise SettingsError, saying how to choose another port, if `port` cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            flag = "--" + variable.lower().replace("_", "-")
            other = port + 10 if port + 10 < PORT_MAX else port - 10
            raise SettingsError(
                f"port {port} on {host} {reason}. Choose another: {variable}={other} with make, "
                f"{flag} {other} with penstock"
            ) from None


def refuse_unbindable(host: str, *, variable: str) -> None:
    """Raise SettingsError for an address that this machine does not have, or a name that leads to none."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
        reason = error.strerror if isinstance(error, OSError) else "it is not a host name"
        raise SettingsError(
            f"{variable}: cannot listen on {host}: {reason}. Unset it, or give an address of this machine"
        ) from None
