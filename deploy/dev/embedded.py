"""The parts of `make run`: the whole system on the embedded default, each part its own process."""

import http.client
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from msgspec.structs import fields

from deploy.dev.rundir import Ports, RunDirectory, refuse_taken
from deploy.dev.server import Server, accepts, free_ports
from schemas.settings import PREFIX, Settings, SettingsError

CODE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """What is started, in this order; `migrate` runs to its end between the stores and the rest."""

    stores: tuple[Server, ...]
    migrate: Server
    workers: tuple[Server, ...]
    gateways: tuple[Server, ...]
    ports: Ports


def plan(settings: Settings, run: RunDirectory, *, gateways: int, workers: int) -> Plan:
    """Choose the ports and lay out the parts. Raises SettingsError for what cannot be served."""
    _refuse_foreign(settings)
    api_port = settings.api_port or settings.port + 1
    refuse_taken(settings.host, settings.port, variable="PORT")
    refuse_taken(settings.host, api_port, variable="API_PORT")
    gateway_names = [f"gateway-{n}" for n in range(1, gateways + 1)]
    worker_names = [f"worker-events-{n}" for n in range(1, workers + 1)] + ["worker-quarantine-1"]
    gateway = ("gateway",) if gateways == 1 else ("gateway", "--reuse-port")
    serving = [*worker_names, "api", *gateway_names]
    clickhouse, *free = free_ports(1 + len(serving))
    admin = dict(zip(serving, free, strict=True))
    ports = Ports(gateway=settings.port, api=api_port, clickhouse=clickhouse, admin=admin)
    make = _Maker(environment(settings, ports, run.home))
    return Plan(
        stores=(_clickhouse(ports, run.home, make.env),),
        migrate=make.command("migrate", ("migrate", "--demo"), ready=lambda: True),
        workers=(
            *(make.part(name, ("worker", name.split("-")[1]), ports.admin[name]) for name in worker_names),
            make.part("api", ("api",), ports.admin["api"]),
        ),
        gateways=tuple(make.part(name, gateway, ports.admin[name]) for name in gateway_names),
        ports=ports,
    )


def environment(settings: Settings, ports: Ports, home: Path) -> dict[str, str]:
    """Return what turns `settings` and the chosen ports into the environment of a part."""
    given = {
        field.name: _text(getattr(settings, field.name))
        for field in fields(Settings)
        if getattr(settings, field.name) != field.default
    }
    given |= {
        "home": str(home),
        "port": str(ports.gateway),
        "api_port": str(ports.api),
        "clickhouse_url": ports.clickhouse_url,
    }
    env = {PREFIX + name.upper(): text for name, text in given.items()}
    # The parts run the very code that this process runs, wherever they are started.
    return env | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def serves(port: int) -> Callable[[], bool]:
    """Return a probe of a part's /ready on its admin port."""

    def probe() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


@dataclass(frozen=True)
class _Maker:
    env: Mapping[str, str]

    def command(self, name: str, words: tuple[str, ...], ready: Callable[[], bool]) -> Server:
        # -P: a folder `cli` where the user stands is not ours.
        argv = (sys.executable, "-P", "-m", "cli", *words)
        return Server(name=name, argv=argv, cwd=Path.cwd(), url="", ready=ready, env=self.env)

    def part(self, name: str, words: tuple[str, ...], admin_port: int) -> Server:
        return self.command(name, (*words, "--admin-port", str(admin_port)), serves(admin_port))


def _clickhouse(ports: Ports, home: Path, env: Mapping[str, str]) -> Server:
    words = ("--port", str(ports.clickhouse), "--path", str(home / "clickhouse"))
    return Server(
        name="clickhouse",
        argv=(sys.executable, "-P", "-m", "deploy.dev.clickhouse", *words),
        cwd=Path.cwd(),
        url=ports.clickhouse_url,
        ready=lambda: accepts(ports.clickhouse),
        env=env,
    )


def _refuse_foreign(settings: Settings) -> None:
    if not is_loopback(settings.host):
        raise SettingsError(
            f"{PREFIX}HOST: the development system has demo credentials that everybody knows, "
            "so it binds loopback addresses only; see README, In production"
        )
    for name in ("bus_url", "clickhouse_url", "registry_url"):
        default = next(field.default for field in fields(Settings) if field.name == name)
        if getattr(settings, name) != default:
            raise SettingsError(
                f"{PREFIX}{name.upper()}: the development system runs its own embedded parts. "
                "Unset it, or start `penstock gateway`, `penstock worker events` and `penstock api` instead"
            )


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
