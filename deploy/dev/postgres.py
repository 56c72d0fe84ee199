"""A Postgres on loopback, with one database and one account named penstock."""

import os
import pwd
import secrets
import shutil
import signal
import struct
from pathlib import Path

from deploy.dev import elsewhere
from deploy.dev.server import Server, ServerFailed, asks, run

PACKAGE = "postgresql"
ROOT_RUNS_AS = "postgres"


def find() -> Path | None:
    """Return the newest folder that holds both `initdb` and `postgres`: Debian's, else the one on PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if _complete(folder)), None)


def prepare(directory: Path, port: int) -> Server:
    """Make the database where there is none yet, and describe the server.

    Postgres refuses to run as root; there it runs as user `postgres`. Raises ServerFailed.
    """
    programs = find()
    if programs is None:
        raise ServerFailed(f"no Postgres found: install the package {PACKAGE}")
    user = ROOT_RUNS_AS if os.geteuid() == 0 else ""
    home = _home(directory, user)
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(programs, home, user)
    password = (home / "password").read_text()
    return Server(
        name="postgres",
        argv=(
            *(str(programs / "postgres"), "-D", str(data)),
            *("-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "shared_buffers=32MB", "-c", "max_connections=60"),
        ),
        cwd=home,
        url=f"postgresql://penstock:{password}@127.0.0.1:{port}/penstock",
        ready=lambda: asks(port, _startup_message(), b"R"),
        user=user,
        stop_signal=signal.SIGINT,  # fast: it does not wait for clients to leave
    )


def _major(folder: Path) -> float:
    version = folder.parent.name
    return float(version) if version.replace(".", "", 1).isdigit() else 0


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _home(directory: Path, user: str) -> Path:
    """Make the directory; where `user` could not reach it, make it a link into that user's own home.

    A checkout under /root, say, is closed to `postgres`. The link keeps one rule true: who removes
    the directory starts afresh, and what it led to is removed when the next one is made.
    """
    if not user:
        directory.mkdir(parents=True, exist_ok=True)
        return directory.resolve()
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ServerFailed(f"Postgres does not run as root, and there is no user {user} here") from None
    directory.parent.mkdir(parents=True, exist_ok=True)
    if not directory.exists():
        if _reachable(directory.parent, user):
            directory.mkdir()
        else:
            elsewhere.place(directory, Path(entry.pw_dir))
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    return directory.resolve()


def _reachable(directory: Path, user: str) -> bool:
    return run(["/usr/bin/test", "-x", directory.resolve()], user=user).returncode == 0


def _initialise(programs: Path, home: Path, user: str) -> None:
    """Write a new database. It is made beside its place and moved, so that a broken start is repeated."""
    unfinished = home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    password = home / "password"
    password.unlink(missing_ok=True)
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(16))
    if user:
        shutil.chown(password, user, user)
    # Locale C sorts by bytes: an index stays good whatever the system's locale becomes.
    _run(
        *(programs / "initdb", "-D", unfinished, "--username=penstock", f"--pwfile={password}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        user=user,
        cwd=home,
    )
    _run(
        programs / "postgres",
        "--single",
        "-D",
        unfinished,
        "postgres",
        user=user,
        cwd=home,
        text="CREATE DATABASE penstock\n",
    )
    unfinished.rename(home / "data")


def _run(*argv: str | Path, user: str, cwd: Path, text: str = "") -> None:
    done = run(argv, user=user, cwd=cwd, text=text)
    if done.returncode:
        raise ServerFailed(f"{argv[0]} failed with {done.returncode}:\n{done.stderr[-2000:]}")


def _startup_message() -> bytes:
    """Ask for a session, protocol 3.0: the answer begins with R (log in) only when the server serves."""
    body = struct.pack(">I", 3 << 16) + b"user\0penstock\0database\0penstock\0\0"
    return struct.pack(">I", len(body) + 4) + body
