"""A short chaos run on every build; `make chaos` is the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.servers import LiveServer

SEED = 20261122

pytestmark = pytest.mark.timeout(420)


def test_nothing_acknowledged_is_lost_or_doubled(
    kafka: LiveServer, postgres: LiveServer, redis: LiveServer, live_directory: Path
) -> None:
    """The three fixtures only make sure that the servers can be started here."""
    var = live_directory / "chaos"
    argv = [sys.executable, "-m", "tests.chaos", "--minutes", "0.4", "--seed", str(SEED), "--var", str(var)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    books = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, books["lost"], books["duplicated"]) == (0, 0, 0), done.stdout
    assert books["faults"] >= 2
    assert all(dialect["acked"] > 0 for dialect in books["by_dialect"].values())
