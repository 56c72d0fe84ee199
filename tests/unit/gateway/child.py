"""A gateway in a process of its own, as a real server, for tests that speak to it through sockets."""

import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gateway.server import bind, serve
from stores.registry import demo
from tests.unit.gateway.rig import Rig

AUTH = f"Authorization: Bearer {demo.RELO_SECRET}\r\nContent-Type: application/json\r\n".encode()
EVENT = {"t": "install", "ts": 1_710_244_800_000, "cid": 3, "did": "d-1"}
BODY = json.dumps({"events": [EVENT]}).encode()

ROOT = Path(__file__).parents[3]
START_S = 20.0
STOP_S = 25.0
NO_LIMIT = 1_000_000
GROUPS = ("relo.batch", "alana.events", "alana.events_ip", "redo.events", "redo.bulk")


class Child:
    """A running gateway. Connections are made by hand, so that nothing is put right on the way."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, admin_port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.admin_port = admin_port
        self.log = log

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def talk(self, sent: bytes, *, timeout_s: float = 10.0, half_close: bool = False) -> bytes:
        """Send bytes, return all that comes until the other side closes or nothing more comes."""
        with self.connect(timeout_s) as line:
            line.sendall(sent)
            if half_close:
                line.shutdown(socket.SHUT_WR)
            return read_all(line)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Make one proper request; return status and JSON."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            line.request(method, path, body, headers or {})
            answer = line.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else None
        finally:
            line.close()

    def post(self, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a batch of relo events; return status and JSON."""
        sent = {"Authorization": f"Bearer {demo.RELO_SECRET}", "Content-Type": "application/json", **headers}
        status, answer = self.ask("POST", "/ingest/batch", body, sent)
        return status, answer

    def check_unharmed(self) -> None:
        """Whatever was done to it, it still serves, holds nothing back, and nothing broke inside."""
        assert self.post(BODY)[0] == 200
        assert "Traceback" not in self.log.read_text()
        assert self.metric("body_bytes_held") == 0
        assert self.metric("requests_in_flight") == 0

    def metric(self, name: str) -> float:
        """Return a metric, summed over its labels."""
        line = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        try:
            line.request("GET", "/metrics")
            text = line.getresponse().read().decode()
        finally:
            line.close()
        full = f"penstock_gateway_{name}"
        return sum(
            float(row.rpartition(" ")[2])
            for row in text.splitlines()
            if row.startswith((full + "{", full + " "))
        )

    @property
    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


def written(body: bytes = BODY, extra: bytes = b"") -> bytes:
    """Return a batch request as it goes over the wire; `extra` are more header lines."""
    head = b"POST /ingest/batch HTTP/1.1\r\nHost: x\r\n" + AUTH + extra
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def statuses(got: bytes) -> list[int]:
    """Return the statuses of all answers, without those that only encourage."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", got) if status != b"100"]


def told(got: bytes) -> dict[str, str]:
    """Return the JSON of one answer."""
    found: dict[str, str] = json.loads(got.split(b"\r\n\r\n", 1)[1])
    return found


def read_all(line: socket.socket) -> bytes:
    """Read until the end, or until nothing more comes."""
    got = b""
    try:
        while data := line.recv(65_536):
            got += data
    except (TimeoutError, ConnectionResetError):
        pass
    return got


@contextmanager
def running(home: Path, *, server: str = "hypercorn", sock: socket.socket | None = None) -> Iterator[Child]:
    """Start a gateway, wait until it is ready, and stop it in the end."""
    bound = sock or bind("127.0.0.1", 0)
    port: int = bound.getsockname()[1]
    admin = bind("127.0.0.1", 0)
    admin_port = admin.getsockname()[1]
    admin.close()
    log = home / f"gateway-{port}-{time.monotonic_ns()}.log"
    arguments = [server, str(bound.fileno()), str(port), str(admin_port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.gateway.child", *arguments],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[bound.fileno()],
        )
    if sock is None:
        bound.close()
    child = Child(process, port, admin_port, log)
    try:
        _wait_until_ready(child)
        yield child
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(child: Child) -> None:
    give_up_at = time.monotonic() + START_S
    while time.monotonic() < give_up_at:
        assert child.process.poll() is None, child.log.read_text()
        try:
            if child.ask("GET", "/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not ready: {child.log.read_text()}")


def main() -> None:
    """Serve a rig whose tokens have no limits. Arguments: server, descriptor, port, admin port."""
    server, descriptor, port, admin_port = sys.argv[1:]
    logging.basicConfig(level="INFO", stream=sys.stderr)
    rig = Rig(server=server, port=int(port), admin_port=int(admin_port))
    for hashed, token in rig.registry.tokens.items():
        unlimited = msgspec.structs.replace(token, limits=dict.fromkeys(GROUPS, NO_LIMIT))
        rig.registry.tokens[hashed] = unlimited
    sock = socket.socket(fileno=int(descriptor))
    if server == "granian":  # it binds for itself
        sock.close()
        uvloop.run(serve(rig.app, rig.settings))
    else:
        uvloop.run(serve(rig.app, rig.settings, sock=sock))


if __name__ == "__main__":
    main()
