"""State behind a link: removed once its link is gone, and nothing else ever is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.dev import elsewhere


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def linked(tmp_path: Path, home: Path, name: str) -> Path:
    """Make state for a directory of this name; return where it lies."""
    (tmp_path / name).mkdir(exist_ok=True)
    link = tmp_path / name / "postgres"
    elsewhere.place(link, home)
    (link / "data").mkdir()
    return link.resolve()


def test_what_lost_its_link_goes_when_the_next_is_made(tmp_path: Path, home: Path) -> None:
    first, second = linked(tmp_path, home, "first"), linked(tmp_path, home, "second")
    shutil.rmtree(tmp_path / "first")
    third = linked(tmp_path, home, "third")
    assert not first.exists()
    assert set(home.iterdir()) == {second, third}


def test_one_whose_link_leads_elsewhere_by_now_goes(tmp_path: Path, home: Path) -> None:
    first = linked(tmp_path, home, "first")
    again = linked(tmp_path, home, "first")
    assert first != again
    linked(tmp_path, home, "other")
    assert (first.exists(), again.exists()) == (False, True)


def _no_note(directory: Path) -> None:
    (directory / elsewhere.NOTE).unlink()


def _odd_note(directory: Path) -> None:
    (directory / elsewhere.NOTE).write_text("/nowhere")


def _other_disk(directory: Path) -> None:
    path, device = (directory / elsewhere.NOTE).read_text().splitlines()
    (directory / elsewhere.NOTE).write_text(f"{path}\n{int(device) + 1}\n")


def _served(directory: Path) -> None:
    (directory / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/data\n")


@pytest.mark.parametrize("kept_by", [_no_note, _odd_note, _other_disk, _served])
def test_what_may_be_somebody_s_stays(tmp_path: Path, home: Path, kept_by: Callable[[Path], None]) -> None:
    first = linked(tmp_path, home, "first")
    shutil.rmtree(tmp_path / "first")
    kept_by(first)
    elsewhere.remove_orphans(home)
    assert first.exists()


def test_other_directories_and_links_stay(tmp_path: Path, home: Path) -> None:
    (home / "15").mkdir()
    orphan = linked(tmp_path, home, "first")
    (home / "penstock-link").symlink_to(orphan)
    (home / "penstock-file").write_text("")
    shutil.rmtree(tmp_path / "first")
    orphan.rename(tmp_path / "moved")
    (home / "penstock-link").unlink()
    (home / "penstock-link").symlink_to(tmp_path / "moved")
    elsewhere.remove_orphans(home)
    assert {each.name for each in home.iterdir()} == {"15", "penstock-link", "penstock-file"}
    assert (tmp_path / "moved" / "data").exists()


def test_a_server_that_is_gone_keeps_nothing(tmp_path: Path, home: Path) -> None:
    first = linked(tmp_path, home, "first")
    shutil.rmtree(tmp_path / "first")
    (first / "data" / "postmaster.pid").write_text(f"{2**22 + 1}\n")
    elsewhere.remove_orphans(home)
    assert not first.exists()
