"""Which Kafka `penstock topics` means."""

import os
from pathlib import Path

from deploy.dev.rundir import Ports, RunDirectory
from tests.unit.cli.conftest import Penstock


def test_without_a_kafka_it_says_how_to_name_one(penstock: Penstock) -> None:
    done = penstock("topics", "check")
    assert done.returncode == 1
    assert done.stderr == "penstock: the bus is not Kafka: name it with PENSTOCK_BUS_URL=kafka://host:port\n"


def test_the_kafka_of_the_running_stack_is_found(penstock: Penstock, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "home")
    os.close(run.lock())
    run.write_pid("supervisor", os.getpid())
    run.write_ports(Ports(1, 2, 3, {}), {"bus_url": "kafka://127.0.0.1:1"})
    done = penstock("topics", "check", PENSTOCK_HOME=str(run.home))
    assert done.returncode == 1
    assert done.stderr.endswith("_PASSWORD, _SASL what it wants?\n")
    assert "penstock: Kafka at 127.0.0.1:1 cannot be reached, or does not let us in" in done.stderr
