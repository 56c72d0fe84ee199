"""`python -m deploy.dev.clickhouse --port P --path DIR`: the embedded ClickHouse as a process of its own."""

import fcntl
import os
import signal
import socket
import sys
import threading
import traceback
from ipaddress import ip_address
from pathlib import Path
from typing import IO

import click

from deploy.dev.clickhouse.client import Client
from deploy.dev.clickhouse.engine import Engine, EngineError
from deploy.dev.clickhouse.limits import Limits
from deploy.dev.clickhouse.wire import ProtocolError
from deploy.dev.parent import watch_parent

CLIENTS_MAX = 64
DRAIN_S = 4.0


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="0: a free one, which is printed.")
@click.option("--path", type=click.Path(path_type=Path), required=True, help="Directory for the data.")
def main(host: str, port: int, path: Path) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    watch_parent()
    _refuse_foreign(host)
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("a+") as lock:
        _take(lock, path)
        try:
            engine = Engine(path)
        except EngineError as error:
            raise click.ClickException(f"{path}: {error}") from None
        with _listen(host, port) as listener:
            _serve(listener, engine)


def _serve(listener: socket.socket, engine: Engine) -> None:
    limits = Limits(engine)
    places = threading.BoundedSemaphore(CLIENTS_MAX)
    # A signal interrupts accept(); without a handler of its own SIGTERM would cut inserts in two.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    version = ".".join(map(str, engine.version))
    host, port = listener.getsockname()[:2]
    print(f"ClickHouse {version} (chDB) serves {host}:{port}", flush=True)
    try:
        while True:
            sock, _ = listener.accept()
            if not places.acquire(blocking=False):
                sock.close()
                continue
            threading.Thread(target=_client, args=(sock, engine, limits, places), daemon=True).start()
    except (SystemExit, KeyboardInterrupt):
        listener.close()
        limits.drain(DRAIN_S)
        # Clients are idle or past waiting for; what is stored is stored, as after kill -9.
        sys.stdout.flush()
        os._exit(0)


def _client(sock: socket.socket, engine: Engine, limits: Limits, places: threading.BoundedSemaphore) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        Client(sock, engine, limits).serve()
    except ProtocolError as error:
        print(f"a client was cut off: {error}", file=sys.stderr, flush=True)
    except (EOFError, OSError):
        pass  # it left, or went silent: nothing of an unfinished insert was stored
    except Exception:  # noqa: BLE001 - one client's fault, whatever it is, ends that client only
        traceback.print_exc()
    finally:
        sock.close()
        places.release()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=CLIENTS_MAX)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None


def _refuse_foreign(host: str) -> None:
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise click.BadParameter(
            f"{host} is not a loopback address; this server asks for no password. "
            "Run a real ClickHouse to serve a network.",
            param_hint="--host",
        )


def _take(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        raise click.ClickException(f"{path} is in use by another server, process {holder}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


if __name__ == "__main__":
    main()
