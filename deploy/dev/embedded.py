"""The parts of `make run`: the whole system on the embedded default, each part its own process."""

from deploy.dev.plan import Plan, choose_ports, clickhouse, lay_out
from deploy.dev.rundir import RunDirectory
from schemas.settings import Settings


def plan(settings: Settings, run: RunDirectory, *, gateways: int, workers: int) -> Plan:
    """Choose the ports and lay out the parts. Raises SettingsError for what cannot be served."""
    ports = choose_ports(settings, gateways=gateways, workers=workers, stores=("clickhouse",))
    urls = {"clickhouse_url": f"clickhouse://127.0.0.1:{ports.clickhouse}/penstock"}
    return lay_out(settings, run, ports, (clickhouse(ports, run.home),), urls)
