"""The system under test: `penstock stack` as a child process, its parts reached through proxies."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.proxy import Proxy, free_port

PROXIED = ("kafka", "clickhouse", "postgres", "redis")
_READY_S = 120.0
_STOP_S = 60.0


class Stack:
    """Starts, asks and stops the production shape on loopback; `var` holds all its state."""

    def __init__(self, var: Path, *, workers: int = 2) -> None:
        self.var = var
        self.port = free_port()
        self.proxies = [Proxy(name, free_port(), partial(self._own_port, name)) for name in PROXIED]
        self.gateway_proxy = Proxy("gateway", free_port(), lambda: self.port)
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def run_dir(self) -> Path:
        """Where the pid files are."""
        return self.var / "run"

    def _own_port(self, name: str) -> int | None:
        try:
            ports: dict[str, int] = json.loads((self.run_dir / "ports.json").read_text())
        except (OSError, ValueError):
            return None
        return ports.get(name)

    async def start(self) -> None:
        """Start all parts and wait for the `ready` line. Raises RuntimeError with the log's end."""
        for proxy in (*self.proxies, self.gateway_proxy):
            await proxy.start()
        self.var.mkdir(parents=True, exist_ok=True)
        log = self.var / "stack.log"
        with log.open("wb") as sink:
            self._process = subprocess.Popen(self._argv(), stdout=sink, stderr=subprocess.STDOUT)
        until = time.monotonic() + _READY_S
        while b"\nready http://" not in b"\n" + log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the stack did not become ready:\n{log.read_text()[-3000:]}")
            await asyncio.sleep(0.2)

    def _argv(self) -> list[str]:
        argv = [str(Path(sys.executable).with_name("penstock")), "stack"]
        argv += ["--port", str(self.port), "--home", str(self.var), "--workers", str(self._workers)]
        for proxy in self.proxies:
            argv += ["--proxy", proxy.name, str(proxy.port)]
        return argv

    def clickhouse_port(self) -> int:
        """The engine's own port, past the proxy."""
        port = self._own_port("clickhouse")
        assert port is not None
        return port

    async def ledger(self) -> list[dict[str, Any]]:
        """Run `penstock ledger` and return its lines; empty while it cannot answer."""
        argv = [str(Path(sys.executable).with_name("penstock")), "ledger"]
        environ = os.environ | {"PENSTOCK_HOME": str(self.var)}
        child = await asyncio.create_subprocess_exec(
            *argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        out, _ = await child.communicate()
        return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]

    async def stop(self) -> int:
        """Stop all parts in order; returns the supervisor's exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            code = await asyncio.to_thread(self._process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for proxy in (*self.proxies, self.gateway_proxy):
            await proxy.stop()
        return code
