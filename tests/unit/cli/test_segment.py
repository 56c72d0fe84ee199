"""Saved segments by the command line, over a real registry; previews are in tests/flow/test_segments.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from stores.migrations import migrate_registry
from tests.unit.cli.conftest import Penstock

Entries = Callable[..., list[dict[str, Any]]]
CONDITIONS = {"event": "Order Placed", "count": {"operator": ">=", "value": 2}}


@pytest.fixture
async def registry(tmp_path: Path) -> None:
    await migrate_registry(Settings(home=str(tmp_path)))


@pytest.fixture
def shop(registry: None, entries: Entries) -> dict[str, Any]:
    return entries("tenant", "add", "my-shop", "My Shop")[0]


def written(tmp_path: Path, content: object) -> str:
    file = tmp_path / "segment.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_a_segment_from_add_to_remove(shop: dict[str, Any], entries: Entries, tmp_path: Path) -> None:
    file = written(tmp_path, {"name": "Loyal", "conditions": CONDITIONS})
    [made] = entries("segment", "add", file)
    assert (made["name"], made["conditions"]) == ("Loyal", CONDITIONS)
    assert entries("segment", "list") == [made]
    assert entries("segment", "show", "Loyal") == entries("segment", "show", made["id"]) == [made]
    assert entries("segment", "remove", "Loyal") == [{"id": made["id"], "name": "Loyal", "removed": True}]
    assert entries("segment", "list", "--tenant", "my-shop") == []


def test_of_several_tenants_one_is_named(
    shop: dict[str, Any], entries: Entries, penstock: Penstock, tmp_path: Path
) -> None:
    entries("tenant", "add", "other", "Other")
    file = written(tmp_path, {"name": "Loyal", "conditions": CONDITIONS})
    done = penstock("segment", "add", file)
    assert done.returncode == 1
    assert "there are 2 tenants; name one with --tenant" in done.stderr
    entries("segment", "add", file, "--tenant", "other")
    assert len(entries("segment", "list", "--tenant", "other")) == 1
    assert entries("segment", "list", "--tenant", "my-shop") == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not usable: it is not JSON"),
        ('{"conditions": {}}', "missing required field `name`"),
        ('{"name": "x", "conditions": 5}', "Expected `object`"),
        ('{"name": "x", "conditions": {"event": ""}}', "`conditions.event`: this is the name of an event"),
        ('{"name": " ", "conditions": {"event": "e"}}', "A name has 1 to 200 characters"),
    ],
)
def test_files_that_are_not_usable(
    shop: dict[str, Any], penstock: Penstock, tmp_path: Path, content: str, sentence: str
) -> None:
    done = penstock("segment", "add", written(tmp_path, content))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "/nowhere/segment.json"), "cannot be read: No such file"),
        (("show", "Loyal"), "the tenant has no segment 'Loyal'"),
        (("remove", "Loyal"), "the tenant has no segment 'Loyal'"),
        (("list", "--tenant", "9"), "there is no tenant '9'"),
        (("preview", "/nowhere/segment.json"), "nothing runs in"),
    ],
)
def test_what_is_not_there(
    shop: dict[str, Any], penstock: Penstock, words: tuple[str, ...], sentence: str
) -> None:
    done = penstock("segment", *words)
    assert done.returncode == 1
    assert sentence in done.stderr
