"""What all tests of the workers share."""

import pytest


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come quickly, so that an outage takes milliseconds."""
    monkeypatch.setattr("workers.backoff.FIRST_S", 0.001)
    monkeypatch.setattr("workers.backoff.LONGEST_S", 0.004)
    monkeypatch.setattr("workers.partitions.HOLD_S", 0.01)
    monkeypatch.setattr("workers.partitions.PATIENCE_S", 0.02)
