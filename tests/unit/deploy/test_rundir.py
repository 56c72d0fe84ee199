"""Ports, pid files and the sentences for what is taken."""

import os
import socket
from pathlib import Path

import pytest

from deploy.dev.rundir import Ports, RunDirectory, refuse_taken, refuse_unbindable
from schemas.settings import SettingsError

PORTS = Ports(gateway=8080, api=8081, clickhouse=9000, admin={"gateway-1": 9100})


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"port {port} .* in use.*API_PORT=\d+ with make.*--api-port"
        ):
            refuse_taken("127.0.0.1", port, variable="API_PORT")
    refuse_taken("127.0.0.1", port, variable="API_PORT")


def test_ports_are_published_and_withdrawn(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    os.close(run.lock())
    assert run.ports() is None
    run.write_ports(PORTS, {"bus_url": "kafka://127.0.0.1:4"})
    assert run.ports() == PORTS
    assert run.urls() == {"bus_url": "kafka://127.0.0.1:4"}
    assert (run.run / "urls.json").stat().st_mode & 0o077 == 0
    run.remove_ports()
    assert run.ports() is None
    assert run.urls() == {}


def test_only_living_parts_count(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    os.close(run.lock())
    run.write_pid("supervisor", os.getpid())
    run.write_pid("gateway-1", 2**22 + 1)  # above the kernel's largest pid
    (run.run / "api.pid").write_text("no number")
    assert run.pids() == {"supervisor": os.getpid()}
    run.remove_pid("supervisor")
    run.remove_pid("supervisor")
    assert run.pids() == {}


def test_the_lock_clears_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    os.close(run.lock())
    run.write_pid("gateway-1", 2**22 + 1)
    os.close(run.lock())
    assert list(run.run.glob("*.pid")) == []


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file/var cannot hold the state: Not a directory"):
        RunDirectory(tmp_path / "file" / "var").lock()


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "2001:db8::1", "a..b"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(SettingsError, match=rf"^AN_ADDRESS: cannot listen on {host}: \w.* Unset it"):
        refuse_unbindable(host, variable="AN_ADDRESS")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_an_address_of_this_machine_may_be_listened_on(host: str) -> None:
    refuse_unbindable(host, variable="AN_ADDRESS")
