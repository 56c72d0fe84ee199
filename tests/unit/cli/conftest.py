"""The command line as an operator uses it: its exit status and its two streams."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli import main


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Penstock = Callable[..., Done]


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Penstock:
    """Call `penstock` in this process, with the directory of state in `tmp_path`."""
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))

    def call(*arguments: str, **settings: str) -> Done:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture
def entries(penstock: Penstock) -> Callable[..., list[dict[str, Any]]]:
    """Call `penstock`, see that it succeeds, and read its JSON lines."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        done = penstock(*arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call
