"""The parts of `make stack`: the production shape on one machine, every server a real one on loopback."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from deploy.dev import kafka, postgres, redis
from deploy.dev.plan import CODE, Plan, choose_ports, clickhouse, lay_out, module
from deploy.dev.rundir import RunDirectory
from deploy.dev.server import Server
from schemas.settings import PREFIX, Settings

STORES = ("kafka", "kafka_controller", "postgres", "redis", "clickhouse")


def plan(
    settings: Settings, run: RunDirectory, *, gateways: int, workers: int, proxies: Mapping[str, int]
) -> Plan:
    """Lay out the parts. Raises SettingsError, and ServerFailed where a server is not installed.

    `proxies` names, by store, the loopback port through which our processes reach it: whoever listens
    there passes connections on to the store's own port, and may break them (tests/chaos).
    """
    ports = choose_ports(settings, gateways=gateways, workers=workers, stores=STORES)
    reached = {name: proxies.get(name, getattr(ports, name)) for name in STORES}
    home = run.home
    # A client asks the broker where to find it, and must hear of the proxy.
    broker = kafka.prepare(home / "kafka", ports.kafka, ports.kafka_controller, advertised=reached["kafka"])
    database = postgres.prepare(home / "postgres", ports.postgres)
    limits = redis.prepare(home / "redis", ports.redis)
    urls = {
        "bus_url": f"kafka://127.0.0.1:{reached['kafka']}",
        "registry_url": database.url.replace(f":{ports.postgres}/", f":{reached['postgres']}/"),
        "keys_url": f"redis://127.0.0.1:{reached['redis']}/0",
        "clickhouse_url": f"clickhouse://127.0.0.1:{reached['clickhouse']}/penstock",
    }
    stores = (broker, database, limits, clickhouse(ports, home))
    laid_out = lay_out(settings, run, ports, stores, urls)
    return replace(laid_out, stores=(_warden(run), *stores))


def _warden(run: RunDirectory) -> Server:
    """Describe the process that ends the servers which cannot watch the supervisor themselves."""
    env = {"PYTHONPATH": str(CODE), PREFIX + "HOME": str(run.home)}
    words = ("deploy.dev.warden", str(run.run), "kafka", "postgres", "redis")
    return module("warden", words, env, partial(bool, True))
