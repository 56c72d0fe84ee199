"""Which interpreter the bench takes."""

import sys

import pytest

from bench import interpreter

OURS, OTHER = "python3", "python3.12"


@pytest.mark.parametrize(
    ("timed", "taken"),
    [
        ({OURS: 1.0, OTHER: 0.8}, OTHER),
        ({OURS: 1.0, OTHER: 0.95}, OURS),  # no better than chance
        ({OURS: 0.8, OTHER: 1.0}, OURS),
        ({OTHER: 1.0}, OTHER),  # ours is too old
        ({}, OURS),  # make says what is wrong with it
    ],
)
def test_the_fastest_is_taken(
    monkeypatch: pytest.MonkeyPatch, timed: dict[str, float], taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        interpreter, "timing", lambda name: (timed[name], "3.12.1") if name in timed else None
    )
    assert interpreter.main(OURS) == taken
    said = capsys.readouterr().err
    assert ("PYTHON=" in said) == (OURS in timed and taken != OURS)


def test_an_interpreter_is_timed() -> None:
    found = interpreter.timing(sys.executable)
    assert found is not None
    seconds, version = found
    assert seconds > 0
    assert version == sys.version.split()[0]


def test_what_cannot_be_used_is_passed_over() -> None:
    assert interpreter.timing("no-such-python") is None
    assert interpreter.timing("false") is None
