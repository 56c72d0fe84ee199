"""What is said of ratios that fell."""

from pathlib import Path

from bench.recorded import Recorded, fallen, read, write


def test_a_fall_of_15_percent_is_said_and_less_is_not() -> None:
    sentences = fallen({1: 1.0, 100: 2.0, 1_000: 1.0}, {1: 0.85, 100: 1.71, 1_000: 1.4})
    assert sentences == ["1 events a request: 0.85 of the peer, was 1.00 (-15%)"]


def test_a_size_that_was_not_measured_is_left_out() -> None:
    assert fallen({10_000: 1.0}, {1: 0.1}) == []


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    assert read(path) is None
    recorded = Recorded("2026-01-02", "granian", 2, 0.5, {1: 0.7, 1_000: 1.25})
    write(recorded, path)
    assert read(path) == recorded
