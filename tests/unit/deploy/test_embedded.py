"""How `make run` is laid out from the settings."""

import socket
from pathlib import Path
from threading import Thread

import pytest

from deploy.dev.embedded import plan
from deploy.dev.plan import environment, is_loopback
from deploy.dev.rundir import Ports, RunDirectory
from deploy.dev.server import free_ports
from schemas.settings import Settings, SettingsError, load

PORTS = Ports(gateway=1, api=2, clickhouse=3, admin={})
URLS = {"clickhouse_url": "clickhouse://127.0.0.1:3/penstock"}


def test_every_part_is_there_with_its_own_admin_port(tmp_path: Path) -> None:
    port, api_port = free_ports(2)
    laid_out = plan(Settings(port=port, api_port=api_port), RunDirectory(tmp_path), gateways=2, workers=2)
    names = [part.name for part in (*laid_out.stores, *laid_out.workers, *laid_out.gateways)]
    assert names == [
        "clickhouse",
        "worker-events-1",
        "worker-events-2",
        "worker-quarantine-1",
        "worker-webhooks-1",
        "api",
        "gateway-1",
        "gateway-2",
    ]
    assert laid_out.ports.gateway == port
    assert set(laid_out.ports.admin) == set(names) - {"clickhouse"}
    every = [port, api_port, laid_out.ports.clickhouse, *laid_out.ports.admin.values()]
    assert len(set(every)) == len(every)


def test_port_0_is_a_free_one_that_is_told(tmp_path: Path) -> None:
    laid_out = plan(Settings(port=0), RunDirectory(tmp_path), gateways=1, workers=1)
    assert laid_out.ports.gateway > 1024
    assert laid_out.ports.api > 1024
    (gateway,) = laid_out.gateways
    assert gateway.env["PENSTOCK_PORT"] == str(laid_out.ports.gateway)


def test_gateway_and_api_cannot_have_one_port(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(SettingsError, match="PENSTOCK_API_PORT: the gateway has port"):
        plan(Settings(port=port, api_port=port), RunDirectory(tmp_path), gateways=1, workers=1)


@pytest.mark.parametrize(("admin_host", "asked"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")])
def test_a_part_is_asked_where_it_listens(tmp_path: Path, admin_host: str, asked: str) -> None:
    laid_out = plan(Settings(port=0, admin_host=admin_host), RunDirectory(tmp_path), gateways=1, workers=1)
    (gateway,) = laid_out.gateways
    assert not gateway.ready()
    with socket.create_server((asked, laid_out.ports.admin["gateway-1"])) as part:
        answering = Thread(target=answer_ready, args=(part,))
        answering.start()
        assert gateway.ready()
        answering.join()


def answer_ready(part: socket.socket) -> None:
    """Be a part that serves, for one question."""
    connection, _ = part.accept()
    with connection:
        if connection.recv(4096).startswith(b"GET /ready "):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_part_is_told_its_settings_by_its_environment() -> None:
    settings = Settings(worker_wait_ms=70, tracker_uniform_status=True, cors_origins="https://a.example")
    env = {"PENSTOCK_WORKER_ROWS_MAX": "7"} | environment(settings, PORTS, Path("/state"), URLS)
    told = load({name: text for name, text in env.items() if name.startswith("PENSTOCK_")})
    assert told.worker_rows_max == settings.worker_rows_max
    assert (told.worker_wait_ms, told.tracker_uniform_status) == (70, True)
    assert told.cors_origins == "https://a.example"
    assert (told.home, told.port, told.api_port) == ("/state", 1, 2)
    assert told.clickhouse_url == "clickhouse://127.0.0.1:3/penstock"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Settings(host="0.0.0.0"), "PENSTOCK_HOST: .*demo credentials"),
        (Settings(host="shop.example"), "PENSTOCK_HOST: .*demo credentials"),
        (Settings(registry_url="postgresql://db.example/live"), "PENSTOCK_REGISTRY_URL: .*Unset it"),
        (Settings(bus_url="kafka://127.0.0.1:9092"), "PENSTOCK_BUS_URL: .*Unset it"),
        (Settings(clickhouse_url="clickhouse://db.example/live"), "PENSTOCK_CLICKHOUSE_URL: .*Unset it"),
        (Settings(admin_host="nowhere.invalid"), "PENSTOCK_ADMIN_HOST: cannot listen on nowhere.invalid"),
    ],
)
def test_what_the_demo_must_not_touch_is_refused(tmp_path: Path, settings: Settings, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        plan(settings, RunDirectory(tmp_path), gateways=1, workers=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "", "localhost.example"])
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)
