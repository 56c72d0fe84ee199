"""The two Go programs of the bench: the load, and the peer. Built once, kept under .tools/."""

import shutil
import subprocess
from pathlib import Path

from deploy.dev.server import ServerFailed

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / ".tools" / "bench"
GO_HINT = "the bench needs Go 1.22 or newer on PATH: see https://go.dev/doc/install"


def build(name: str) -> Path:
    """Build bench/`name` and return the program; quick where nothing changed. Raises ServerFailed."""
    go = shutil.which("go")
    if go is None:
        raise ServerFailed(GO_HINT)
    program = BUILT / name
    command = [go, "build", "-buildvcs=false", "-o", str(program), "."]
    done = subprocess.run(command, cwd=HERE / name, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"bench/{name} could not be built:\n{done.stderr[-2000:]}")
    return program


def go_version() -> str:
    """Return what `go version` says, or an empty string."""
    go = shutil.which("go")
    if go is None:
        return ""
    return subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout.strip()
