"""One server process: how to start it, know that it serves, and stop it."""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PORTS = range(20_000, 32_000)
_PR_SET_PDEATHSIG = 1


class ServerFailed(RuntimeError):
    """A server is not installed, ended early or did not serve in time; the message says what to do."""


@dataclass(frozen=True)
class Server:
    """What a supervisor or a test needs to run one server; `argv` is exec'ed, so its pid is the server's.

    `env` is added to the caller's environment. `user` is the account to run as (empty: the caller's).
    `ready` tells in well under a second whether the server serves. `stop_signal` ends it cleanly.
    With `refusal` as its exit status it says that only the operator can help (0: it has no such status).
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    url: str
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    refusal: int = 0


def spawn(server: Server, log: Path) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, with its output appended to `log`.

    On Linux it dies with the thread that called this, however that ends. Raises OSError.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - argv is ours
            server.argv,
            cwd=server.cwd,
            env={**os.environ, **server.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads yet
            **account(server.user),
        )


def run(
    argv: Sequence[str | Path], *, user: str = "", cwd: Path | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with `text` as its input, and return its status and output."""
    return subprocess.run(  # noqa: S603 - argv is ours
        argv, cwd=cwd, input=text, capture_output=True, text=True, check=False, **account(user)
    )


def account(user: str) -> dict[str, Any]:
    """Return the Popen arguments that run a child as `user`; none of them where it is empty."""
    if not user:
        return {}
    return {"user": user, "group": user, "extra_groups": []}


def wait_ready(server: Server, process: subprocess.Popen[bytes], log: Path, *, seconds: float = 60) -> None:
    """Return when it serves. Raises ServerFailed with the end of its log."""
    deadline = time.monotonic() + seconds
    while not server.ready():
        if process.poll() is not None:
            raise ServerFailed(f"{server.name} ended with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{server.name} does not serve after {seconds:.0f} s:\n{_tail(log)}")
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on.

    They lie below the range from which the kernel takes the near end of connections: there, a client
    that tries again and again while a server is down would in time connect to itself and keep the port.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def accepts(port: int) -> bool:
    """Tell whether something listens on that loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def asks(port: int, question: bytes, answer: bytes) -> bool:
    """Tell whether the server on that loopback port answers `question` with bytes that begin so."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(question)
            return connection.recv(len(answer)) == answer
    except OSError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-20:])


def _die_with_parent() -> None:
    # Runs after setuid: a change of credentials would clear the setting.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
