"""`make tools`: nothing to do where everything is, and clear words where something lacks."""

import pytest

from deploy.dev import kafka, postgres, redis, tools


def test_nothing_is_fetched_when_everything_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "find", lambda: kafka.LIBS)
    monkeypatch.setattr(kafka, "find_java", lambda: kafka.LIBS)
    monkeypatch.setattr(redis, "find", lambda: kafka.LIBS)
    monkeypatch.setattr(postgres, "find", lambda: kafka.LIBS)
    monkeypatch.setattr(tools, "_show", lambda command: pytest.fail(f"ran {command}"))
    assert tools.main() == 0
    assert f"kafka: {kafka.VERSION}" in capsys.readouterr().out


def test_who_may_not_install_is_told_what_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redis, "find", lambda: None)
    monkeypatch.setattr(postgres, "find", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(tools, "_show", lambda command: pytest.fail(f"ran {command}"))
    assert tools.main() == 1
    assert f"{redis.PACKAGE} {postgres.PACKAGE}" in capsys.readouterr().out


def test_root_installs_what_lacks_and_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(redis, "find", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")

    def show(command: list[str]) -> int:
        commands.append(command)
        return 100 if len(commands) == 1 else 0

    monkeypatch.setattr(tools, "_show", show)
    assert tools.main() == 1  # it is still not there
    assert [command[1] for command in commands] == ["install", "update", "install"]
    assert commands[0][-1] == redis.PACKAGE
