"""The two sides that are compared: our gateway as shipped, and the peer with its best settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from msgspec.structs import replace

from bench.ground import PEER_TOPIC, Ground
from bench.processes import Group, cpu_s, family, forget_rss_peak, rss_peak_mb
from deploy.dev.plan import Maker, environment
from deploy.dev.rundir import Ports
from deploy.dev.server import Server, accepts, free_ports
from schemas.settings import Settings
from schemas.topics import RAW

SERVERS = ("hypercorn", "granian", "builtin")
BEST_SERVER = "builtin"
"""The one that costs a gateway least: what is compared where one has to do."""

PEER_CONFIG = Path(__file__).with_name("peer") / "peer.yaml"


@dataclass(frozen=True)
class Side:
    """One side, running: where it listens, what it writes to, and what it costs."""

    name: str
    port: int
    topic: str
    pids: Sequence[int]
    load: Sequence[str] = ()

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes so far."""
        return cpu_s(self._all())

    def rss_peak_mb(self) -> float:
        """Return the most memory its processes held since `forget_rss_peak`, in MiB."""
        return rss_peak_mb(self._all())

    def forget_rss_peak(self) -> None:
        """Begin the peak anew."""
        forget_rss_peak(self._all())

    def _all(self) -> list[int]:
        return [each for pid in self.pids for each in family(pid)]


def start_ours(ground: Ground, group: Group, *, server: str, processes: int) -> Side:
    """Start that many gateways on one port. Raises ServerFailed."""
    port, *admin = free_ports(1 + processes)
    make = maker(replace(ground.settings, server=server), port)
    words = ("gateway", "--reuse-port") if processes > 1 else ("gateway",)
    name = f"{server}-{processes}"
    parts = [make.part(f"{name}-{number}", words, one) for number, one in enumerate(admin, 1)]
    pids = [group.start(part).pid for part in parts]
    return Side(name, port, RAW, pids, ("-tokens", str(ground.tokens)))


def maker(settings: Settings, port: int = 0) -> Maker:
    """Return what describes our own processes, as a supervisor would start them."""
    ports = Ports(gateway=port, api=0, clickhouse=0, admin={})
    return Maker(environment(settings, ports, Path(settings.home), {}))


def start_peer(ground: Ground, group: Group, program: Path, *, config: str | None = None) -> Side:
    """Start the peer: one process with as many threads as there are cores. Raises ServerFailed."""
    port, admin_port = free_ports(2)
    path = ground.home / "peer.yaml"
    path.write_text(peer_config(config or PEER_CONFIG.read_text(), ground.settings.bus_url, port, admin_port))
    server = Server(
        name="peer",
        argv=(str(program), "-c", str(path)),
        cwd=ground.home,
        url=f"http://127.0.0.1:{port}",
        ready=lambda: accepts(port),
    )
    return Side("peer", port, PEER_TOPIC, [group.start(server).pid])


def peer_config(template: str, bus_url: str, port: int, admin_port: int) -> str:
    """Fill in the peer's configuration; its own `${!...}` are left as they are."""
    broker = bus_url.removeprefix("kafka://")
    return Template(template).safe_substitute(
        PORT=port, ADMIN_PORT=admin_port, BROKER=broker, TOPIC=PEER_TOPIC
    )
