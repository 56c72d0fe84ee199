"""The smallest bench: our gateway over a real Kafka, Postgres and Redis; what is acknowledged has landed."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ground import Ground, new_home
from bench.processes import Group
from bench.programs import build
from bench.rounds import measure
from bench.sides import BEST_SERVER, Side, start_ours
from deploy.dev.server import ServerFailed
from tests.live import small_load
from tests.live.servers import skip_or_fail


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Ground, Side]]:
    """The servers and one gateway of the bench's own."""
    with new_home() as home:
        try:
            ground = Ground.start(home)
        except ServerFailed as missing:
            skip_or_fail(missing)
        with ground, Group(home / "log") as group:
            yield ground, start_ours(ground, group, server=BEST_SERVER, processes=1)


def loads(directory: Path) -> list[Path]:
    """The load written in Python, and the bench's own where Go is installed."""
    script = directory / "load"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{small_load.__file__}" "$@"\n')
    script.chmod(0o755)
    return [script, build("load")] if shutil.which("go") else [script]


def test_acknowledged_events_have_landed(started: tuple[Ground, Side], tmp_path: Path) -> None:
    ground, side = started
    for load in loads(tmp_path):
        for events in (1, 100):
            took = measure(ground, load, side, events, 0.5)
            assert took.failed == {}
            assert took.landed == took.acked > 0
            assert took.figures["cpu_s_per_million_events"] > 0
            assert took.figures["rss_mb"] > 10


def test_what_was_not_acknowledged_is_told(started: tuple[Ground, Side], tmp_path: Path) -> None:
    ground, side = started
    (ground.home / "wrong.txt").write_text("pk_relo_nobody\n")
    stranger = Side("stranger", side.port, side.topic, side.pids, ("-tokens", str(ground.home / "wrong.txt")))
    for load in loads(tmp_path):
        took = measure(ground, load, stranger, 1, 0.2)
        assert took.acked == took.landed == 0
        assert sum(took.failed.values()) > 0
