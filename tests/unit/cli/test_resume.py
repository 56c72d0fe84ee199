"""Where `penstock worker resume` finds the workers of the system that runs here."""

import os
from pathlib import Path

import pytest

from deploy.dev.rundir import Ports, RunDirectory
from tests.unit.cli.conftest import Penstock


@pytest.mark.parametrize(
    ("admin_host", "asked"),
    [("127.0.0.1", "127.0.0.1:1"), ("0.0.0.0", "127.0.0.1:1"), ("::1", "[::1]:1"), ("::", "[::1]:1")],
)
def test_workers_are_asked_where_they_listen(
    penstock: Penstock, tmp_path: Path, admin_host: str, asked: str
) -> None:
    run = RunDirectory(tmp_path / "home")
    os.close(run.lock())
    run.write_ports(Ports(1, 2, 3, {"api": 2, "worker-events-1": 1}), {})
    done = penstock("worker", "resume", PENSTOCK_HOME=str(run.home), PENSTOCK_ADMIN_HOST=admin_host)
    assert done.returncode == 1
    assert done.stderr.startswith(f"penstock: the worker at {asked} does not answer: ")


def test_without_a_system_it_says_how_to_name_one(penstock: Penstock) -> None:
    done = penstock("worker", "resume")
    assert done.returncode == 1
    assert "no worker runs in" in done.stderr
    assert "--at HOST:PORT" in done.stderr
