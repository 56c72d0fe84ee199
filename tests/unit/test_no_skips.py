"""The plugin that makes CI refuse skipped tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
import pytest
def test_fine(): pass
@pytest.mark.skip(reason="no tool")
def test_marked(): pass
def test_late(): pytest.skip("no server")
@pytest.mark.xfail(strict=True, reason="a known gap")
def test_gap(): assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", "1 failed, 1 passed, 1 xfailed, 1 error"), ("", "1 passed, 2 skipped, 1 xfailed")],
)
def test_a_skip_is_a_failure_only_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-q", "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout.splitlines()[-1]


def test_a_skipped_file_is_an_error_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text("import pytest\npytest.skip('no tool', allow_module_level=True)")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-q", "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "1 error" in done.stdout
