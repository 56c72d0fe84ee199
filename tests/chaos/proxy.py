"""A TCP proxy on loopback that can cut, delay, half-close and swallow what passes through it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Literal

Fault = Literal["cut", "delay", "half_close", "drop_replies", "drop_requests"]
FAULTS: tuple[Fault, ...] = ("cut", "delay", "half_close", "drop_replies", "drop_requests")

_CHUNK_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # linger 0: close() sends RST


class Proxy:
    """Passes connections on to `target()`, a port asked for anew at each connection.

    Faults, each on all open connections and until `heal`:
    - cut: connections are reset, new ones too
    - delay: every chunk waits 300 ms
    - half_close: the client's side gets EOF while its own bytes still pass
    - drop_replies: bytes from the server vanish, as a lost acknowledgement does
    - drop_requests: bytes to the server vanish
    """

    def __init__(self, name: str, port: int, target: Callable[[], int | None]) -> None:
        self.name = name
        self.port = port
        self._target = target
        self._fault: Fault | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        assert self._server is not None
        self._server.close()
        self._reset_all()

    def break_with(self, fault: Fault) -> None:
        """Begin a fault."""
        self._fault = fault
        if fault == "cut":
            self._reset_all()
        elif fault == "half_close":
            for client, _ in self._pairs:
                with contextlib.suppress(OSError, RuntimeError):
                    client.write_eof()

    def heal(self) -> None:
        """End the fault. Connections that lost bytes are reset: their streams can't be whole again."""
        lost_bytes = self._fault in {"drop_replies", "drop_requests", "half_close"}
        self._fault = None
        if lost_bytes:
            self._reset_all()

    def _reset_all(self) -> None:
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        target = self._target()
        if target is None or self._fault == "cut":
            _reset(client_out)
            return
        # The client's own address is kept, so that limits per address see it.
        address = client_out.get_extra_info("peername")[0]
        try:
            server_in, server_out = await asyncio.open_connection(
                "127.0.0.1", target, local_addr=(address, 0)
            )
        except OSError:
            _reset(client_out)
            return
        pair = (client_out, server_out)
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._pump(client_in, server_out, "drop_requests"),
                self._pump(server_in, client_out, "drop_replies"),
            )
        finally:
            self._pairs.discard(pair)
            for writer in pair:
                writer.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, dropped_by: Fault
    ) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while chunk := await source.read(_CHUNK_BYTES):
                if self._fault == "delay":
                    await asyncio.sleep(0.3)
                if self._fault == dropped_by or (
                    self._fault == "half_close" and dropped_by == "drop_replies"
                ):
                    continue
                sink.write(chunk)
                await sink.drain()
            sink.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.close()


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
