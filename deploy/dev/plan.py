"""How a whole system is laid out on one machine: its parts, their ports, what they are told."""

import http.client
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from msgspec.structs import fields

from deploy.dev.rundir import Ports, RunDirectory, refuse_taken, refuse_unbindable
from deploy.dev.server import Server, accepts, free_ports
from schemas.settings import PREFIX, Settings, SettingsError

CODE = Path(__file__).parents[2]

MISCONFIGURED = 2
"""The exit status of a `penstock` that no retry can help."""

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""Where a part is reached that binds all addresses of its kind."""


@dataclass(frozen=True)
class Plan:
    """What is started, in this order; `migrate` runs to its end between the stores and the rest.

    `urls` are the settings by which the parts, and the operator's commands, reach the stores.
    """

    stores: tuple[Server, ...]
    migrate: Server
    workers: tuple[Server, ...]
    gateways: tuple[Server, ...]
    ports: Ports
    urls: Mapping[str, str]


def choose_ports(settings: Settings, *, gateways: int, workers: int, stores: Sequence[str]) -> Ports:
    """Choose free ports for all but the gateway and the api. Raises SettingsError if those are taken.

    Port 0 of the gateway asks for a free one there too, and so for the api that has none of its own.
    """
    refuse_foreign(settings)
    serving = [*_worker_names(workers), "api", *_gateway_names(gateways)]
    *free, port, api_port = free_ports(len(stores) + len(serving) + 2)
    if settings.port:
        port, api_port = settings.port, settings.port + 1
    api_port = settings.api_port or api_port
    if api_port == port:
        raise SettingsError(f"{PREFIX}API_PORT: the gateway has port {port}. Choose another for the api")
    refuse_taken(settings.host, port, variable="PORT")
    refuse_taken(settings.host, api_port, variable="API_PORT")
    refuse_unbindable(settings.admin_host, variable=f"{PREFIX}ADMIN_HOST")
    return Ports(
        gateway=port,
        api=api_port,
        **dict(zip(stores, free, strict=False)),
        admin=dict(zip(serving, free[len(stores) :], strict=True)),
    )


def lay_out(
    settings: Settings, run: RunDirectory, ports: Ports, stores: tuple[Server, ...], urls: Mapping[str, str]
) -> Plan:
    """Put our own processes around the stores."""
    make = Maker(environment(settings, ports, run.home, urls), admin_host(settings))
    names = list(ports.admin)
    gateway_names = [name for name in names if name.startswith("gateway-")]
    worker_names = [name for name in names if name.startswith("worker-")]
    gateway = ("gateway",) if len(gateway_names) == 1 else ("gateway", "--reuse-port")
    return Plan(
        stores=stores,
        migrate=make.command("migrate", ("migrate", "--demo"), ready=lambda: True),
        workers=(
            *(make.part(name, ("worker", name.split("-")[1]), ports.admin[name]) for name in worker_names),
            make.part("api", ("api",), ports.admin["api"]),
        ),
        gateways=tuple(make.part(name, gateway, ports.admin[name]) for name in gateway_names),
        ports=ports,
        urls=urls,
    )


def environment(settings: Settings, ports: Ports, home: Path, urls: Mapping[str, str]) -> dict[str, str]:
    """Return what turns `settings`, the chosen ports and the stores' URLs into the environment of a part."""
    # All of them, so that nothing this process inherited can speak louder.
    given = {field.name: _text(getattr(settings, field.name)) for field in fields(Settings)}
    given |= {"home": str(home), "port": str(ports.gateway), "api_port": str(ports.api), **urls}
    env = {PREFIX + name.upper(): text for name, text in given.items()}
    # The parts run the very code that this process runs, wherever they are started.
    return env | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))}


def admin_host(settings: Settings) -> str:
    """Return the address at which the admin ports of this machine's parts are reached."""
    return EVERY_ADDRESS.get(settings.admin_host, settings.admin_host)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches that address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def serves(host: str, port: int) -> Callable[[], bool]:
    """Return a probe of a part's /ready on its admin port."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


@dataclass(frozen=True)
class Maker:
    """Makes the parts that run our own code, with `env`; `admin_host` reaches their admin ports."""

    env: Mapping[str, str]
    admin_host: str = "127.0.0.1"

    def command(self, name: str, words: tuple[str, ...], ready: Callable[[], bool]) -> Server:
        """Describe a command of `penstock`."""
        return replace(module(name, ("cli", *words), self.env, ready), refusal=MISCONFIGURED)

    def part(self, name: str, words: tuple[str, ...], admin_port: int) -> Server:
        """Describe a command that serves until it is stopped."""
        probe = serves(self.admin_host, admin_port)
        return self.command(name, (*words, "--admin-port", str(admin_port)), probe)


def module(name: str, words: tuple[str, ...], env: Mapping[str, str], ready: Callable[[], bool]) -> Server:
    """Describe a process that runs one of our modules."""
    # -P: a folder `cli` where the user stands is not ours.
    argv = (sys.executable, "-P", "-m", *words)
    return Server(name=name, argv=argv, cwd=Path.cwd(), url="", ready=ready, env=env)


def clickhouse(ports: Ports, home: Path) -> Server:
    """Describe the embedded ClickHouse."""
    words = ("--port", str(ports.clickhouse), "--path", str(home / "clickhouse"))
    env = {"PYTHONPATH": str(CODE), PREFIX + "HOME": str(home)}
    return module("clickhouse", ("deploy.dev.clickhouse", *words), env, lambda: accepts(ports.clickhouse))


def refuse_foreign(settings: Settings) -> None:
    """Raise SettingsError for what the development system must not serve or touch."""
    if not is_loopback(settings.host):
        raise SettingsError(
            f"{PREFIX}HOST: the development system has demo credentials that everybody knows, "
            "so it binds loopback addresses only; see README, In production"
        )
    for name in ("bus_url", "clickhouse_url", "registry_url", "keys_url"):
        default = next(field.default for field in fields(Settings) if field.name == name)
        if getattr(settings, name) != default:
            raise SettingsError(
                f"{PREFIX}{name.upper()}: the development system runs its own parts. "
                "Unset it, or start `penstock gateway`, `penstock worker events` and `penstock api` instead"
            )


def _worker_names(workers: int) -> list[str]:
    return [
        *(f"worker-events-{n}" for n in range(1, workers + 1)),
        "worker-quarantine-1",
        "worker-webhooks-1",
    ]


def _gateway_names(gateways: int) -> list[str]:
    return [f"gateway-{n}" for n in range(1, gateways + 1)]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
